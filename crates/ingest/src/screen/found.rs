//! Texts and columns as hospitals write them: what is found, and what is not.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::*;

/// What is found in a column of these values.
fn kinds(column: &str, values: &[String]) -> Vec<IdentifierKind> {
    let texts: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let Ok(rows) = RecordBatch::try_from_iter([("x", texts)]) else {
        return Vec::new();
    };
    let names = names::of_column(column);
    let column = Column::new("own", column, 0, names, Kind::Texts);
    column.look(&rows);
    column.found().into_iter().map(|found| found.kind).collect()
}

fn twenty(value: &str) -> Vec<String> {
    vec![value.to_owned(); 20]
}

/// Twenty texts that are any but alike, drawn anew for each seed.
fn drawn(text: impl Fn(&mut dyn FnMut(u64, u64) -> u64) -> String) -> Vec<String> {
    let mut last = 7_u64;
    let mut draw = |least: u64, most: u64| {
        last = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        least + (last >> 33) % (most - least + 1)
    };
    (0..20).map(|_| text(&mut draw)).collect()
}

#[test]
fn registration_numbers() {
    for text in [
        "900101-1234567",
        "900101\n1234568",
        "900101\r\n1234568",
        "900101-\n1234568",
        "900101-\r\n1234567",
        "900101  -  1234568",
        "900101  -  1234567",
        "90.01.01-1234568",
        "90-01-01-1234568",
        "90/01/01-1234567",
        "900101-123 4568",
        "900101-123 4567",
        "900101-1 234567",
        "900101+1234568",
        "900101=1234568",
        "900101^1234568",
        "900101*1234568",
        "900101#1234568",
        "900101 1******",
        "900101.1******",
        "900101/1******",
        "9001011******",
        "9001011XXXXXX",
        "주민번호 900101-*******",
        "900101-*******",
        "900101-\u{25cf}\u{25cf}\u{25cf}\u{25cf}\u{25cf}\u{25cf}\u{25cf}",
        "환자 900101-1234568 확인",
        "010101-3234567",
        "240312-3328130",
        "250101-1234567",
    ] {
        let found = kinds("memo", &twenty(text));
        assert_eq!(found, [IdentifierKind::ResidentRegistration], "{text:?}");
    }
    for text in [
        "900101 1**",
        "901301 1******",
        "900101 3******",
        "9001013******",
        "901301-*******",
        "901301+1234568",
        "1900101+1234568",
        "900101+12345689",
        "900101-**",
        "240101-103 0000",
        "24-03-12-0000123",
        "주민번호 901301-1234567",
        "250101-1234568",
    ] {
        assert_eq!(kinds("memo", &twenty(text)), [], "{text:?}");
    }
}

#[test]
fn one_registration_number_among_other_texts() {
    let among = |text: &str, many: usize| {
        let mut values = vec!["고혈압 의심되어 내원함".to_owned(); many];
        values.push(text.to_owned());
        kinds("memo", &values)
    };
    for text in [
        "900101-1234568",
        "010101-3234567",
        "주민번호 900101-1234567",
        "900101-1******",
        "RRN240312-3328130",
        "9001011234568",
        // Numbers given since October 2020 end with any digit.
        "240312-3328130",
        "201005-4328130",
        "210101-7328131",
    ] {
        let found = among(text, 999);
        assert_eq!(found, [IdentifierKind::ResidentRegistration], "{text}");
    }
    for text in [
        "900101-1234567",
        "880316-1965717",
        "201004-4328130",
        "240312-1328131",
        "241312-3328130",
        "20240312-3328130",
        "S240312-3328130",
    ] {
        assert_eq!(among(text, 999), [], "{text}");
    }
    assert_eq!(among("900101-1234567", 3).len(), 1);
    // Children's numbers do not check, and there is more than one of them.
    let mut values = vec!["정상".to_owned(); 900];
    values.extend((10..30).map(|day| format!("2403{day}-3{day}8130 외래")));
    assert_eq!(kinds("memo", &values).len(), 1);
    // Numbers that check are found beside any number of specimens.
    let mut values = drawn(|draw| format!("2403{}-{}", draw(10, 28), draw(1_000_000, 9_999_999)));
    assert_eq!(kinds("memo", &values), []);
    values.push("900101-1234568".to_owned());
    assert_eq!(kinds("memo", &values).len(), 1);
}

/// What a column is taken for that may hold numbers, and may not.
#[test]
fn a_few_numbers_that_do_not_check_are_worth_a_look() {
    let doubt = |text: &str, many: usize, others: &[&str]| {
        let column = Column::new("own", "memo", 0, Names::No, Kind::Texts);
        let mut seen = [0; COUNTS];
        let quiet = vec!["고혈압"; 999 - many];
        let values = quiet.into_iter().chain(vec![text; many]);
        for value in values.chain(others.iter().copied()) {
            column.look_at(value, true, &mut seen);
        }
        column.add(999, seen);
        column.doubts().first().map(ToString::to_string)
    };
    let told = doubt("900101-1234567", 3, &[]);
    let expected = "own.memo: 3 rows may hold resident registration numbers: look at them, and leave the column out with \
                    `--drop-column` if they do";
    assert_eq!(told.as_deref(), Some(expected));
    // Ten are refused, and so is one with others that are surely numbers; codes of which most fit nobody are none.
    assert_eq!(doubt("900101-1234567", 10, &[]), None);
    assert_eq!(
        doubt("900101-1234567", 3, &["주민번호 900101-1234567"]),
        None
    );
    assert_eq!(
        doubt("900101-1234567", 1, &["900101-3234567", "900102-7234567"]),
        None
    );
    assert_eq!(doubt("정상", 3, &[]), None);
    let told = doubt("보호자(모) 01012345678", 1, &[]);
    assert!(told.is_some_and(|told| told.contains("1 rows may hold telephone numbers")));
}

#[test]
fn numbers_in_two_columns() {
    let front = drawn(|draw| format!("{}{:02}{}", draw(50, 99), draw(1, 12), draw(10, 28)));
    let back = drawn(|draw| format!("{}", draw(1_000_000, 2_999_999)));
    for (of_front, of_back) in [
        ("rrn_front", "rrn_back"),
        ("RRN1", "RRN2"),
        ("주민번호앞", "주민번호뒤"),
        ("주민등록번호1", "주민등록번호2"),
        ("jumin1", "jumin2"),
        ("pt_juminno_1", "ssn2"),
    ] {
        for (column, values) in [(of_front, &front), (of_back, &back)] {
            let found = kinds(column, values);
            assert_eq!(found, [IdentifierKind::ResidentRegistration], "{column}");
        }
    }
    // As one, of which few check: of children, and of foreigners.
    let whole = drawn(|draw| format!("2103{}3{}8130", draw(10, 28), draw(10, 99)));
    for column in ["주민등록번호", "rrn", "외국인등록번호"] {
        let found = kinds(column, &whole);
        assert_eq!(found, [IdentifierKind::ResidentRegistration], "{column}");
    }
    for column in ["memo", "errno", "lot_number", "session1"] {
        assert_eq!(kinds(column, &whole), [], "{column}");
        assert_eq!(kinds(column, &front), [], "{column}");
        assert_eq!(kinds(column, &back), [], "{column}");
    }
    for value in [
        "Y", "1", "901301", "0123456", "9123456", "12345678", "900101-",
    ] {
        assert_eq!(kinds("rrn_type", &twenty(value)), [], "{value}");
    }
}

#[test]
fn telephones() {
    for text in [
        "8210-1234-5678",
        "82-10-12345678",
        "연락처 821012345678",
        "821012345678",
        "전화 02 123 4567",
        "☎ 02 123 4567",
        "연락처 031 123 4567",
        "tel 02 1234 5678",
        "전화 0311234567",
        "tel: 0212345678",
        "phone 2125550123",
        "phone 212 555 0123",
        "010-12-345678",
        "010-123-45678",
        "연락처 010-****-5678",
        "010-1234-****",
        "연락처 010-283-3149",
        "전화 031-2024-0001",
        "02-2072-2114",
        "02-2019-3114",
        "031-8024-1234",
        "212-555-0123",
        "call 212-555-0123 today",
        "+82 10 1234 5678",
        "+1 212 555 0123\n2024-01-01",
        "010-1234-\n5678",
    ] {
        let found = kinds("memo", &twenty(text));
        assert_eq!(found, [IdentifierKind::Telephone], "{text:?}");
    }
    for text in [
        "010-283-3149",
        "031-2024-0001",
        "+127.438475",
        "37.895042, +127.438475",
        "+37.4186021",
        "+3 / +1 169-201-1749",
        "환자번호는 2125550123",
        "0212345678",
        "0311234567",
        "2125550123",
        "02 123 4567",
        "010-****-****",
        "010-20-240131-1",
        "8210 1234 5678 9012",
        "821034",
        "혈압 120\n130\n1400",
        "82\n10\n145\n1234",
    ] {
        assert_eq!(kinds("memo", &twenty(text)), [], "{text:?}");
    }
}

#[test]
fn codes_of_things() {
    let specimens = drawn(|draw| {
        format!(
            "24{:02}{}-{}",
            draw(1, 9),
            draw(10, 28),
            draw(1_000_000, 9_999_999)
        )
    });
    let accessions = drawn(|draw| {
        format!(
            "24{:02}{}-{}-{}",
            draw(1, 9),
            draw(10, 28),
            draw(1, 8),
            draw(100_000, 999_999)
        )
    });
    let goods = drawn(|draw| format!("880{}-{}", draw(100, 999), draw(1_000_000, 9_999_999)));
    let subjects = drawn(|draw| format!("010-{}-{}", draw(100, 999), draw(1000, 9999)));
    let documents = drawn(|draw| format!("031-2024-{:04}", draw(1, 9999)));
    let lots = drawn(|draw| format!("{}-{}-{}", draw(200, 999), draw(200, 999), draw(1000, 9999)));
    let longitudes = drawn(|draw| format!("+127.{}", draw(100_000, 999_999)));
    let ranges = drawn(|draw| format!("{}-{}", draw(100_000, 200_000), draw(1_000_000, 2_000_000)));
    for values in [
        specimens, accessions, goods, subjects, documents, lots, longitudes, ranges,
    ] {
        assert_eq!(kinds("code", &values), [], "{values:?}");
    }
}

#[test]
fn addresses() {
    for text in [
        "kim@example.com",
        "Kim.Chul@hospital.kr",
        "KIM@HOSPITAL.KR",
        "12345678@qq.com",
        "kim@163.com",
        "kim@snu.ac.kr",
        "a_b@who.int",
        "kim@clinic.health",
        "<x@y.org>",
        "kim@firm.de",
    ] {
        let found = kinds("memo", &twenty(text));
        assert_eq!(found, [IdentifierKind::Email], "{text}");
    }
    for text in [
        "5DW 1L@40cc.IV",
        "N/S@KVO.then",
        "RR@rest.ok",
        "O2@2L.min",
        "DW@50.cc/hr",
        "D5W@80.iv",
        "v1@prod.db",
        "0.5 mg @ 8.am",
        "NS@rest.In",
        "120@80.at",
        "took 2@night.Then slept",
    ] {
        assert_eq!(kinds("memo", &twenty(text)), [], "{text}");
    }
}

#[test]
fn columns_of_names() {
    let latin = [
        "Aspirin",
        "Complete Blood Count",
        "Hemoglobin",
        "Whole Blood",
    ];
    let things = [
        "order",
        "lab",
        "event",
        "panel",
        "specimen",
        "route",
        "organism",
        "antibiotic",
        "vaccine",
        "payer",
        "insurance",
        "medication",
        "med",
        "diagnosis",
        "symptom",
        "form",
        "exam",
        "category",
        "gender",
        "race",
        "country",
        "city",
        "language",
        "religion",
        "condition",
        "measurement",
        "visit",
        "ingredient",
        "operation",
        "surgery",
        "anesthesia",
        "tumor",
        "gene",
        "allergen",
        "device",
        "source",
        "school",
        "occupation",
        "job",
        "tribe",
        "cohort",
        "treatment",
        "drug",
        "test",
        "procedure",
        "concept",
        "unit",
        "ward",
        "department",
        "hospital",
        "site",
        "patient_lab",
        "lab_order",
        "drugs",
    ];
    let rows = |values: &[&str]| -> Vec<String> {
        let values = values.iter().cycle().take(20);
        values.map(|value| (*value).to_owned()).collect()
    };
    for thing in things {
        for column in [
            format!("{thing}_name"),
            format!("{}_NAME", thing.to_uppercase()),
        ] {
            assert_eq!(names::of_column(&column), Names::No, "{column}");
        }
    }
    for person in [
        "patient_name",
        "person_name",
        "first_name",
        "last_name",
        "family_name",
        "given_name",
        "middle_name",
        "full_name",
        "guardian_name",
        "mother_name",
        "father_name",
        "spouse_name",
        "contact_name",
        "emergency_contact_name",
        "next_of_kin_name",
        "doctor_name",
        "physician_name",
        "nurse_name",
        "provider_name",
        "staff_name",
        "hospital_patient_name",
        "patientName",
        "doctorname",
        "surname",
        "성명",
        "이름",
        "환자명",
        "보호자명",
        "name",
        "name1",
        "name_first",
        "patient_name_kor",
        "KOR_NAME",
        "user_name",
        "name of patient",
        "환자이름",
        "환자_NAME",
    ] {
        assert_eq!(names::of_column(person), Names::Parts, "{person}");
        assert_eq!(kinds(person, &rows(&["Smith", "Kim"])).len(), 1, "{person}");
    }
    for thing in [
        "검사이름",
        "약품이름",
        "filename",
        "drug_kor_name",
        "name_of_drug",
        "tablename",
    ] {
        assert_eq!(names::of_column(thing), Names::No, "{thing}");
    }
    // What the screen knows no word of is told by its values.
    for unknown in ["zyx_name", "display_name"] {
        assert_eq!(kinds(unknown, &rows(&latin)), [], "{unknown}");
        assert_eq!(kinds(unknown, &rows(&["Vancomycin", "Amoxicillin"])), []);
        assert_eq!(
            kinds(unknown, &rows(&["혈액검사", "고혈압", "아스피린"])),
            []
        );
        for people in [["김철수", "이영희"], ["John Smith", "KIM Chul-soo"]] {
            let found = kinds(unknown, &rows(&people));
            assert_eq!(found, [IdentifierKind::Name], "{unknown}");
        }
    }
}

#[test]
fn plain_names_are_of_persons_in_tables_of_persons() {
    for (table, has_person, expected) in [
        ("person", true, Names::Parts),
        ("patients", true, Names::Parts),
        ("hosp_guardian", false, Names::Parts),
        ("hosp_lab", true, Names::Likely),
        ("patient_labs", true, Names::Likely),
        ("wards", false, Names::No),
    ] {
        for column in ["name", "NAME", "name_1", "eng_name"] {
            let names = names::of_own(table, has_person, column);
            assert_eq!(names, expected, "{table}.{column}");
        }
    }
    assert_eq!(names::of_own("wards", false, "patient_name"), Names::Parts);
}
