//! Guests that were written to do harm: each is refused, or fails alone.

use std::fmt::Write as _;
use std::time::Instant;

use super::guests::{File, module, obedient, typed_transformer, wat};
use super::*;
use crate::dice::Dice;
use crate::message::Reason;
use crate::plugin::compile::Code;
use crate::plugin::compiler::Compiler;
use crate::plugin::{Problem, engine};

/// A key setter that does this when a payload begins with `X`; any other payload is its own key.
fn on_x(action: &str) -> String {
    let act = format!(
        "(table $hoard 0 funcref) (func $act (param $what i32) (local $n i32)
           (if (i32.eq (local.get $what) (i32.const 0x58)) (then {action}))"
    );
    obedient().replace("(func $act (param $what i32)", &act)
}

/// What a guest answers for a run of messages of which one is guilty, and what it logs.
fn one_guilty(text: &str, limits: &Limits) -> (String, Vec<Said>) {
    let file = wat("hostile.wasm", text);
    let mut setters = load(&[file.path().to_owned()], limits).instantiate();
    let mut payloads = vec!["innocent"; 20];
    payloads[7] = "X";
    // The setters end with it, and what they have still to say is said.
    logged(move || answer(&mut setters, Ability::Key, &payloads))
}

#[track_caller]
fn assert_only_x_fails(said: &[Said], reason: Reason, error: &str) {
    for (index, said) in said.iter().enumerate() {
        match said {
            Said::Reject(found, text) if index == 7 => {
                assert_eq!(*found, reason.as_str(), "{text}");
                assert!(text.contains(error), "{text}");
            }
            said => assert_eq!((index, said), (index, &bytes("innocent"))),
        }
    }
}

/// Why this text is no plugin.
fn refusal(text: &str, limits: &Limits) -> (Problem, String) {
    let file = wat("hostile.wasm", text);
    let spec = Spec::from(file.path());
    let error = Loader::with_cache(limits.clone(), None).load(&[spec]).err().expect("a refusal");
    let line = error.to_string();
    assert!(line.len() < 4096 && !line.contains('\n'), "{line}");
    (error.problem, line)
}

#[test]
fn one_that_calls_the_host_for_ever_is_ended_and_writes_no_more_than_its_share() {
    let log = |what: &str| format!("(loop $on (call $log {what}) (br $on))");
    let small = "(i32.const 2) (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 48)";
    let grow = "(drop (memory.grow (i32.const 512)))";
    // What has been grown is zeros: 32 MiB of text.
    let huge =
        "(i32.const 2) (i32.const 16) (i32.const 5) (i32.const 0x40000) (i32.const 0x1f00000)";
    let words = "(local.set $n (i32.const 0x40000))
        (loop $fill
          (i64.store (local.get $n) (i64.const 0x2061206120612061))
          (local.set $n (i32.add (local.get $n) (i32.const 8)))
          (br_if $fill (i32.lt_u (local.get $n) (i32.const 0x840000))))";
    let panic =
        "(i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0x40000) (i32.const 0x800000)";
    let limits = Limits { call: Duration::from_millis(60), ..limits() };
    for action in
        [log(small), format!("{grow} {}", log(huge)), format!("{grow} {words} {}", log(panic))]
    {
        let began = Instant::now();
        let (lines, said) = one_guilty(&on_x(&action), &limits);
        assert_only_x_fails(&said, Reason::TimeOut, "the key setter ran longer than 60 ms");
        let seconds = began.elapsed().as_secs() as usize + 1;
        assert!(lines.lines().count() <= 101 * seconds, "{} lines", lines.lines().count());
        assert!(lines.len() <= 3_000 * 101 * seconds, "{} bytes of lines", lines.len());
    }
}

#[test]
fn a_million_lines_in_one_call_are_counted_and_a_hundred_a_second_are_written() {
    let action = "(local.set $n (i32.const 1000000))
        (loop $on
          (call $log (i32.const 2) (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 48))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $on (local.get $n)))";
    let limits = Limits { call: Duration::from_mins(1), ..limits() };
    let (lines, said) = one_guilty(&on_x(action), &limits);
    assert!(said[8..].iter().all(|said| *said == bytes("innocent")), "{said:?}");
    assert_eq!(said[7], bytes("X"));
    let written = lines.matches("panicked at src/lib.rs").count();
    let dropped = lines.lines().filter_map(|line| {
        line.split_once(" lines dropped")?.0.rsplit_once(' ')?.1.parse::<usize>().ok()
    });
    assert_eq!(written + dropped.sum::<usize>(), 1_000_000, "{lines}");
    assert!((100..50_000).contains(&written), "{written}");
}

#[test]
fn tables_count_as_memory() {
    let action = "(loop $on (br_if $on
            (i32.ne (table.grow $hoard (ref.null func) (i32.const 10000)) (i32.const -1))))
        unreachable";
    let limits = Limits { memory: 8 << 20, ..limits() };
    let (_, said) = one_guilty(&on_x(action), &limits);
    assert_only_x_fails(&said, Reason::MemoryLimit, "exceeded the memory limit of 8 MiB");
    let large = on_x("").replace("(table $hoard 0", "(table $hoard 2000000");
    let (problem, line) = refusal(&large, &limits);
    assert!(matches!(problem, Problem::Start(_)), "{line}");
    assert!(line.contains("does not start: it exceeded the memory limit of 8 MiB"), "{line}");
}

#[test]
fn a_start_that_calls_itself_for_ever_is_refused() {
    let text = obedient().replace("(func $act", "(func $go (call $go)) (start $go) (func $act");
    let (problem, line) = refusal(&text, &limits());
    assert!(matches!(problem, Problem::Start(_)), "{line}");
    assert!(line.contains("call stack exhausted in go"), "{line}");
}

#[test]
fn one_that_traps_at_its_thousandth_call_costs_no_message() {
    let trap = "(if (i32.eq (global.get $calls) (i32.const 1000)) (then unreachable))
        (call $act (local.get $what))";
    let file = wat("mine.wasm", &obedient().replace("(call $act (local.get $what))", trap));
    let mut setters = setters(file.path());
    for number in 0..3_500 {
        let payload = format!("{number}");
        assert_eq!(answer(&mut setters, Ability::Key, &[&payload]), [bytes(&payload)]);
    }
}

#[test]
fn one_that_gives_no_room_for_its_messages_rejects_them() {
    let give = "(call $allocate (local.get 3)))";
    let limits = Limits { call: Duration::from_millis(60), ..limits() };
    for (instead, reason, error) in [
        ("(loop $on (br $on)) unreachable)", "time-out", "ran longer than 60 ms"),
        ("unreachable)", "trap", "unreachable"),
        ("(i32.const -16))", "bad-output", "nonsense"),
        ("(i32.const 0x7fffffff))", "bad-output", "nonsense"),
    ] {
        let file = wat("hostile.wasm", &obedient().replacen(give, instead, 1));
        let mut setters = load(&[file.path().to_owned()], &limits).instantiate();
        for said in answer(&mut setters, Ability::Key, &["a", "b"]) {
            let Said::Reject(found, text) = said else { panic!("{instead}: {said:?}") };
            assert_eq!(found, reason, "{text}");
            assert!(text.contains(error), "{instead}: {text}");
        }
    }
}

#[test]
fn answers_that_become_large_are_used_before_there_are_more() {
    let file = wat("obedient.wasm", &obedient());
    let mut setters = setters(file.path());
    let payload = vec![b'x'; 4 << 20];
    let batch = batch(vec![&payload; 20]);
    let (mut answers, mut answered, mut calls) = (Answers::new(), 0, 0);
    while answered < batch.len() {
        setters.call(Ability::Key, &batch, answered..batch.len(), &mut answers);
        assert!((1..=batch.len() - answered).contains(&answers.items.len()));
        assert!(answers.bytes.len() < 40 << 20, "{} bytes", answers.bytes.len());
        assert!(answers.items.iter().all(|item| {
            matches!(item, Answer::Bytes(range) if answers.bytes[range.clone()] == payload)
        }));
        answered += answers.items.len();
        calls += 1;
    }
    assert_eq!((answered, calls), (20, 3));
}

#[test]
fn headers_that_take_much_more_in_the_host_than_in_the_answer_are_refused() {
    // Fifty megabytes of zeros: ten million headers of five bytes each, or two of twenty.
    let zeros = "(i32.shl (memory.grow (i32.const 800)) (i32.const 16))";
    let packed = format!(
        r#"(func (export "mqtt-source:plugin/packed-transformer@0.1.0#transform-all") (param i32 i32) (result i32)
          (local $at i32)
          (local.set $at {zeros})
          (i32.store8 (local.get $at) (i32.const 7))
          (i32.store offset=1 (local.get $at) (i32.const 1))
          (i32.store8 offset=5 (local.get $at) (i32.const 0x80))
          (i32.store offset=6 (local.get $at) (i32.const 10000000))
          (i32.store (i32.const 16) (local.get $at))
          (i32.store (i32.const 20) (i32.const 50000010))
          (i32.const 16))"#
    );
    let last = "(i32.store offset=40 (local.get $record) (local.get $size))";
    let typed = format!(
        "{last} (i32.store8 offset=64 (local.get $record) (i32.const 1))
         (i32.store offset=68 (local.get $record) {zeros})
         (i32.store offset=72 (local.get $record) (i32.const 2600000))"
    );
    for (text, why) in [
        (module(&packed), "its records and headers take more than the memory limit"),
        (typed_transformer().replace(last, &typed), "fuel"),
    ] {
        let file = wat("headers.wasm", &text);
        let (mut setters, batch) = (setters(file.path()), batch(["a", "b"]));
        let mut answers = Answers::new();
        setters.transform(0, &batch, &[], 0, &mut answers);
        for answer in &answers.items {
            let Answer::Reject(rejection) = answer else { panic!("{answer:?}") };
            assert_eq!(rejection.reason, Reason::BadOutput);
            assert!(rejection.error.contains(why), "{}", rejection.error);
        }
        assert_eq!(answers.items.len(), 2);
    }
}

#[test]
fn what_plugins_have_no_use_for_is_not_valid() {
    let with = |field: &str| obedient().replace("(func $act", &format!("{field} (func $act"));
    for field in [
        "(memory $large i64 1)",
        "(memory $shared 1 1 shared)",
        "(func $f (return_call $f))",
        "(type $s (struct (field i32)))",
        "(tag $t) (func (throw $t))",
        "(memory $m 1 (pagesize 1))",
        "(func (param v128) (result v128) \
           (i32x4.relaxed_trunc_f32x4_s (local.get 0)))",
    ] {
        let (problem, line) = refusal(&with(field), &limits());
        assert!(matches!(problem, Problem::Invalid(_)), "{field}: {line}");
    }
    let simd = with("(func (param v128) (result v128) (i32x4.neg (local.get 0)))");
    let file = wat("simd.wasm", &simd);
    assert_eq!(answer(&mut setters(file.path()), Ability::Key, &["k"]), [bytes("k")]);
}

#[test]
fn a_file_that_is_cut_short_anywhere_or_damaged_anywhere_is_refused_or_works() {
    let engine = engine::engine(false).expect("an engine");
    let module = ::wat::parse_str(obedient()).expect("WebAssembly text");
    let component = crate::plugin::wrap::component(&module).expect("a component").into_owned();
    assert!(Code::compile(&engine, &Compiler::default(), &module).is_ok());
    for whole in [&module, &component] {
        // What stands at the end are names of functions, which nobody needs.
        let cut =
            |size: &usize| Code::compile(&engine, &Compiler::default(), &whole[..*size]).is_ok();
        let good: Vec<_> = (0..whole.len()).filter(cut).collect();
        assert!(good.len() <= 2, "{good:?} of {}", whole.len());
        let mut damaged = whole.clone();
        for at in (0..whole.len()).step_by(5) {
            damaged[at] = !damaged[at];
            drop(Code::compile(&engine, &Compiler::default(), &damaged));
            damaged[at] = whole[at];
        }
    }
}

#[test]
fn random_bytes_are_refused() {
    let engine = engine::engine(false).expect("an engine");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for header in [&b""[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
        for _ in 0..1_000 {
            let size = dice.below(256);
            let random = (0..size).map(|_| dice.below(256) as u8);
            let bytes: Vec<u8> = header.iter().copied().chain(random).collect();
            assert!(
                size == 0 || Code::compile(&engine, &Compiler::default(), &bytes).is_err(),
                "{bytes:?}"
            );
        }
    }
}

/// Components that are two of the one before each, so many times.
fn doubled(times: usize, pass: &str) -> String {
    let mut text = String::from(
        "(component (component $c0 (core module $m) (core instance (instantiate $m)))",
    );
    for level in 1..=times {
        let before = format!("$c{}", level - 1);
        let pass = pass.replace("$before", &before);
        let _ = write!(
            text,
            "(component $c{level} {pass} (instance (instantiate $b)) (instance (instantiate $b)))"
        );
    }
    let _ = write!(text, "(instance (instantiate $c{times})))");
    text
}

#[test]
fn what_is_two_of_two_of_two_is_refused_before_it_takes_all_memory() {
    let alias = "(alias outer 1 $before (component $b))";
    for times in [20, 40, 100, 900] {
        let (problem, line) = refusal(&doubled(times, alias), &limits());
        assert!(matches!(problem, Problem::TooMuch(_)), "{line}");
        assert!(line.contains("parts together"), "{line}");
    }
    let (problem, line) = refusal(&doubled(3, alias), &limits());
    assert!(matches!(problem, Problem::NoContract), "{line}");
    let borrowed = "(component
      (component $a (component $c (core module $m) (core instance (instantiate $m))) (export \"c\" (component $c)))
      (instance $i (instantiate $a))
      (alias export $i \"c\" (component $c))
      (instance (instantiate $c)))";
    let (problem, line) = refusal(borrowed, &limits());
    assert!(matches!(problem, Problem::TooMuch(_)), "{line}");
}

#[test]
fn a_component_of_very_many_instances_is_refused() {
    let instances = "(core instance (instantiate $m))".repeat(900);
    let text = format!(
        r#"(component (core module $m (memory 0) (table 0 funcref)) {instances}
          (instance $none) (export "mqtt-source:plugin/key-setter@0.1.0" (instance $none)))"#
    );
    let (problem, line) = refusal(&text, &limits());
    assert!(matches!(problem, Problem::Start(_) | Problem::WrongType { .. }), "{line}");
}

/// A module with so many bytes more, of which the engine has to keep all.
fn padded(bytes: usize) -> File {
    let mut module = ::wat::parse_str(obedient()).expect("WebAssembly text");
    let name = b"\x03pad";
    let mut size = (bytes + name.len()) as u32;
    module.push(0);
    while size >= 0x80 {
        module.push(size as u8 | 0x80);
        size >>= 7;
    }
    module.push(size as u8);
    module.extend(name);
    module.resize(module.len() + bytes, 0);
    File::new("padded.wasm", &module)
}

#[test]
fn a_file_of_fifty_megabytes_works_and_one_of_a_hundred_is_refused() {
    let file = padded(50_000_000);
    assert_eq!(answer(&mut setters(file.path()), Ability::Key, &["k"]), [bytes("k")]);
    let file = padded(100_000_000);
    let mut loader = Loader::with_cache(limits(), None);
    let error = loader.load(&[Spec::from(file.path())]).err().expect("a refusal");
    assert!(matches!(error.problem, Problem::TooMuch(_)), "{error}");
    assert!(
        error.to_string().contains("the file has more than 64 MiB; build it from less"),
        "{error}"
    );
}
