//! Sizes in bytes, as people write them.

/// Reads `1048576`, `1024KiB`, `1MiB`; the answer is in bytes.
///
/// # Errors
/// If it is anything else, or too large for 64 bits.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("not a size: write a number of bytes, or one with KiB, MiB or GiB".into()),
    };
    let number: u64 = digits
        .parse()
        .ok()
        .filter(|_| !digits.starts_with('+'))
        .ok_or("not a size: write a number, as in 16MiB")?;
    number.checked_mul(unit).ok_or_else(|| "too large a size".into())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("7B"), Ok(7));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("16 MiB"), Ok(16_777_216));
        assert_eq!(bytes("3GiB"), Ok(3_221_225_472));
    }

    #[test]
    fn anything_else_is_no_size() {
        for text in [
            "",
            "MiB",
            "1MB",
            "1M",
            "1mib",
            "1.5MiB",
            "-1",
            "+1",
            "1 2",
            "1MiB1",
            "1eMiB",
            "18446744073709551616",
            "18446744073709551615KiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
