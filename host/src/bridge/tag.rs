//! Which record it is that comes back from Kafka: packed into the tag that travels with it.

use crate::sink::Tag;

/// What a record is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the message was to become.
    Record,
    /// Its dead letter, made smaller so many times.
    DeadLetter(u8),
}

const ROLE_BITS: u32 = 3;
const INDEX_BITS: u32 = 20;

/// Messages that a parcel may have.
pub const MESSAGES: usize = 1 << INDEX_BITS;

/// Names a record in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId {
    /// Which parcel; less than 2^41.
    pub slot: usize,
    /// Which message of it; less than [`MESSAGES`].
    pub index: usize,
    pub role: Role,
}

impl RecordId {
    pub fn tag(self) -> Tag {
        let Self { slot, index, role } = self;
        let role = match role {
            Role::Record => 0,
            Role::DeadLetter(cuts) => 1 + Tag::from(cuts),
        };
        ((slot as Tag) << INDEX_BITS | index as Tag) << ROLE_BITS | role
    }

    /// The reverse of [`Self::tag`].
    pub fn of(tag: Tag) -> Self {
        let low = |bits: Tag, size: u32| bits & ((1 << size) - 1);
        let role = match low(tag, ROLE_BITS) {
            0 => Role::Record,
            cuts => Role::DeadLetter(cuts as u8 - 1),
        };
        let index = low(tag >> ROLE_BITS, INDEX_BITS) as usize;
        Self { slot: (tag >> (ROLE_BITS + INDEX_BITS)) as usize, index, role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_record_it_was() {
        for role in [Role::Record, Role::DeadLetter(0), Role::DeadLetter(6)] {
            for (slot, index) in [(0, 0), (1, 2), ((1 << 41) - 1, MESSAGES - 1), (0, MESSAGES - 1)]
            {
                let id = RecordId { slot, index, role };
                assert_eq!(RecordId::of(id.tag()), id);
            }
        }
    }
}
