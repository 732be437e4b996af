//! Wrong uses of the attributes are compile errors that show the right signature.
//! After a change of texts: `TRYBUILD=overwrite cargo test -p plugin-sdk --test wrong_use`.

#[test]
fn a_wrong_use_shows_the_right_signature() {
    trybuild::TestCases::new().compile_fail("tests/wrong_use/*.rs");
}
