//! Plugins in other languages than Rust, built with the tools that their authors have and called as
//! the bridge does it. A module per language; `make test LANGUAGES='c go'` says which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panics")]

mod contract;
mod json_key;
mod project;
mod support;

/// The same tests for each language, under its name.
macro_rules! languages {
    ($($language:ident),*) => {
        $(mod $language {
            const LANGUAGE: &str = stringify!($language);

            #[test]
            fn the_example_passes_its_own_tests() {
                super::support::make(&super::support::example(LANGUAGE), &["test"]);
            }

            #[test]
            fn the_example_finds_the_key_that_its_configuration_names() {
                super::json_key::finds_the_key(LANGUAGE);
            }

            #[test]
            fn the_example_imports_no_clock_that_it_does_not_ask() {
                super::json_key::has_no_clock(LANGUAGE);
            }

            #[test]
            fn the_example_refuses_a_configuration_that_is_wrong() {
                super::json_key::refuses_configurations(LANGUAGE);
            }

            #[test]
            fn a_plugin_can_be_tested_without_the_host() {
                super::support::make(&super::support::guest(LANGUAGE), &["test"]);
            }

            #[test]
            fn a_plugin_sees_all_of_a_message() {
                super::contract::sees_all(LANGUAGE);
            }

            #[test]
            fn a_plugin_can_give_every_answer() {
                super::contract::gives_every_answer(LANGUAGE);
            }

            #[test]
            fn a_plugin_makes_records() {
                super::contract::makes_records(LANGUAGE);
            }

            #[test]
            fn what_goes_wrong_in_a_plugin_spoils_one_message() {
                super::contract::spoils_one_message(LANGUAGE);
            }

            #[test]
            fn a_plugin_is_broken_by_a_bug_that_shows_for_every_message() {
                super::contract::is_broken_by_its_bugs(LANGUAGE);
            }

            #[test]
            fn a_plugin_is_told_of_connections_and_may_end_the_program() {
                super::contract::hears_of_connections(LANGUAGE);
            }

            #[test]
            fn a_plugin_tells_the_time_if_it_may() {
                super::contract::tells_the_time(LANGUAGE);
            }

            #[test]
            fn a_plugin_frees_the_memory_of_each_call() {
                super::contract::frees_its_memory(LANGUAGE);
            }

            #[test]
            fn a_new_project_passes_its_tests_and_works() {
                super::project::works(LANGUAGE);
            }
        })*
    };
}

languages!(c, go, javascript, python);

mod rust {
    #[test]
    fn a_new_project_passes_its_tests_and_works() {
        super::project::works("rust");
    }
}
