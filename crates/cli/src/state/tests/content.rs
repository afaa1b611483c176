//! Files at random: cut, damaged, and written by any sequence of runs.

use proptest::prelude::*;

use super::*;

/// Records as runs write them, and more: an end may be followed by a new wait.
fn record() -> impl Strategy<Value = Record> {
    let id = prop_oneof!["[a-d]", Just("\u{1f980}\"x".to_owned())];
    let kind = prop::sample::select(crate::ends::KINDS.as_slice());
    let waiting =
        (id.clone(), 0_u32..9, prop::option::of("[a-z]{1,9}"), prop::option::of(0_u64..9))
            .prop_map(|(id, polls, kind, timeout)| {
                let mut job = job(&id);
                job.polls = polls;
                job.status = (polls > 4).then_some((cfw_waiter::Phase::Unknown, "Q\n".into()));
                let own = Own::new(kind, timeout.map(Duration::from_millis));
                Record::waiting(job, own)
            });
    let ended =
        (id.clone(), prop::option::of(kind)).prop_map(|(id, kind)| Record::Ended(end(&id, kind)));
    prop_oneof![
        3 => waiting,
        2 => ended,
        2 => id.prop_map(|id| Record::reported(&id)),
        1 => (0_u64..3, "[a-z\u{1b}]{0,3}").prop_map(|(line, message)| {
            Record::Rejected(Rejected { file: None, line, message })
        }),
        1 => Just(Record::Finished {}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Wherever a file is cut, it says what its whole lines say, or, if the header is cut, that it is damaged.
    #[test]
    fn a_file_cut_anywhere_is_what_it_was_at_a_moment(records in prop::collection::vec(record(), 3..40), offset in 0_usize..7) {
        let mut journal = Journal::new(Place::default());
        let mut text = journal.image().unwrap();
        let header = text.len();
        let mut moments = vec![(header, image(&journal))];
        for record in records {
            // Only what a run can write: the end of a job that the file has.
            if journal.apply(record.clone()).is_ok() {
                record.write(&mut text).unwrap();
                moments.push((text.len(), image(&journal)));
            }
        }
        // Each byte in turn would take long: those around the ends of lines, and a seventh of the others.
        let is_near_end = |cut: usize| text[cut.saturating_sub(2)..text.len().min(cut + 1)].contains(&b'\n');
        for cut in (1..=text.len()).filter(|cut| cut % 7 == offset || is_near_end(*cut)) {
            let parsed = Journal::parse(&text[..cut]);
            if cut < header {
                prop_assert!(matches!(parsed, Err(Problem::Damaged(1, _))), "{parsed:?}");
                continue;
            }
            let (len, moment) = moments.iter().rev().find(|(len, _)| *len <= cut).unwrap();
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.len, *len);
            prop_assert_eq!(&image(&parsed.journal), moment);
        }
        // The shortest content says the same.
        let parsed = Journal::parse(&journal.image().unwrap()).unwrap();
        prop_assert_eq!(image(&parsed.journal), image(&journal));
    }


    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "\\PC{0,80}\n") {
        let header = b"{\"cfw_wait_state\":1}\n";
        for text in [&bytes[..], lines.as_bytes(), &[header, &bytes[..]].concat(), &[header, lines.as_bytes()].concat()] {
            let _ = Journal::parse(text);
            let _ = journal::parse_header(text);
        }
    }
}

proptest! {
    // Each syncs many files, which takes its time on a busy disk.
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// However writes, compactions, crashes and new runs alternate, the file has all that was written.
    #[test]
    fn a_file_has_what_was_written_to_it(
        steps in prop::collection::vec((record(), 0_u8..8), 10..40),
        number in any::<u64>(),
    ) {
        let folder = Folder::new(&format!("steps-{number}"));
        let mut state = open(&folder.file()).unwrap();
        let mut expected = Journal::new(Place::default());
        for (record, then) in steps {
            if expected.apply(record.clone()).is_err() {
                continue;
            }
            state.record(record).unwrap();
            match then {
                0 => state.compact().unwrap(),
                1 => {
                    state.write().unwrap();
                    drop(state);
                    // What a crash leaves of a record.
                    let mut text = fs::read(folder.file()).unwrap();
                    text.extend(b"{\"waiting\":{\"job");
                    fs::write(folder.file(), text).unwrap();
                    state = open(&folder.file()).unwrap();
                }
                2 => state.sync().unwrap(),
                3 => drop(fs::remove_file(folder.file())),
                _ => state.write().unwrap(),
            }
        }
        // At least one more record, after which nothing is missing.
        let last = Record::waiting(job("last"), Own::default());
        expected.apply(last.clone()).unwrap();
        state.record(last).unwrap();
        state.sync().unwrap();
        drop(state);
        prop_assert_eq!(image(&open(&folder.file()).unwrap().journal), image(&expected));
        let text = fs::read(folder.file()).unwrap();
        prop_assert_eq!(Journal::parse(&text).unwrap().len, text.len(), "nothing is left of the crash");
    }
}
