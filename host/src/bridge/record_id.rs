//! Which record it is that Kafka's client reports: packed into the ticket that travels with it.

use crate::sink::Ticket;

/// What a record is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Record = 0,
    /// A record whose partition a plugin has chosen.
    PlacedRecord = 1,
    DeadLetter = 2,
    /// A dead letter with only the start of the payload.
    CutDeadLetter = 3,
}

impl Role {
    const ALL: [Self; 4] =
        [Self::Record, Self::PlacedRecord, Self::DeadLetter, Self::CutDeadLetter];

    /// Whether it is what the message was to become.
    pub const fn is_record(self) -> bool {
        matches!(self, Self::Record | Self::PlacedRecord)
    }
}

const ROLE_BITS: u32 = 2;
const NUMBER_BITS: u32 = 16;
const INDEX_BITS: u32 = 20;
const _: () = assert!(Ticket::BITS == 64, "a ticket has 26 bits left for the slot");

/// Messages that a parcel may have.
pub const MESSAGES: usize = 1 << INDEX_BITS;
/// Records that a message may become.
pub const RECORDS: usize = 1 << NUMBER_BITS;

/// Names a record in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId {
    /// Which parcel.
    pub slot: usize,
    /// Which message of it; less than [`MESSAGES`].
    pub index: usize,
    /// Which of the message's records; less than [`RECORDS`].
    pub number: usize,
    pub role: Role,
}

impl RecordId {
    pub fn ticket(self) -> Ticket {
        let Self { slot, index, number, role } = self;
        ((slot << INDEX_BITS | index) << NUMBER_BITS | number) << ROLE_BITS | role as usize
    }

    /// The reverse of [`Self::ticket`].
    pub fn of(ticket: Ticket) -> Self {
        let low = |bits: usize, size: u32| bits & ((1 << size) - 1);
        let role = Role::ALL[low(ticket, ROLE_BITS)];
        let number = low(ticket >> ROLE_BITS, NUMBER_BITS);
        let index = low(ticket >> (ROLE_BITS + NUMBER_BITS), INDEX_BITS);
        Self { slot: ticket >> (ROLE_BITS + NUMBER_BITS + INDEX_BITS), index, number, role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_says_which_record_it_was() {
        for role in Role::ALL {
            for (slot, index, number) in [
                (0, 0, 0),
                (1, 2, 3),
                ((1 << 26) - 1, MESSAGES - 1, RECORDS - 1),
                (0, MESSAGES - 1, 0),
                (7, 0, RECORDS - 1),
            ] {
                let id = RecordId { slot, index, number, role };
                assert_eq!(RecordId::of(id.ticket()), id);
            }
        }
    }
}
