use super::*;

#[test]
fn a_pay_per_use_create_sends_no_more_than_the_service_takes() {
    let request = CreateFirewall::builder("edge").build().unwrap();
    let expected = json!({
        "name": "edge", "flavor": {"version": "Professional"}, "charge_info": {"charge_mode": "postPaid"},
    });
    assert_eq!(request.body, expected);
    let request = CreateFirewall::builder("edge")
        .edition(Edition::Standard)
        .enterprise_project_id("0")
        .tag("a", "")
        .build();
    let expected = json!({
        "name": "edge", "flavor": {"version": "Standard"}, "charge_info": {"charge_mode": "postPaid"},
        "enterprise_project_id": "0", "tags": [{"key": "a", "value": ""}],
    });
    assert_eq!(request.unwrap().body, expected);
}

#[test]
fn a_prepaid_create_sends_its_terms() {
    let terms = PrePaid::months(6).unwrap().auto_renew(true).auto_pay(true);
    let terms = terms.extra_eips(5).extra_bandwidth(100).extra_vpcs(2).extra_vpcs(0);
    let request = CreateFirewall::builder("edge").pre_paid(terms).build().unwrap();
    let expected = json!({
        "name": "edge",
        "flavor": {"version": "Professional", "extend_eip_count": 5, "extend_bandwidth": 100},
        "charge_info": {
            "charge_mode": "prePaid", "period_type": "month", "period_num": 6, "is_auto_renew": true,
            "is_auto_pay": true,
        },
    });
    assert_eq!(request.body, expected);
    assert_eq!(PrePaid::years(1).unwrap().period_type, "year");
}

#[test]
fn what_cannot_be_right_is_named_with_its_value() {
    let edge = || CreateFirewall::builder("edge");
    let rows = [
        (CreateFirewall::builder("").build().unwrap_err(), r#"name "": is empty"#),
        (
            CreateFirewall::builder("a\n").build().unwrap_err(),
            r#"name "a\n": holds a control character"#,
        ),
        (
            edge().enterprise_project_id("").build().unwrap_err(),
            r#"enterprise_project_id "": is empty"#,
        ),
        (edge().tag("", "x").build().unwrap_err(), r#"tag key "": is empty"#),
        (edge().tag("a", "x").tag("a", "y").build().unwrap_err(), r#"tag key "a": is given twice"#),
        (
            edge().client_token("7").build().unwrap_err(),
            r#"client_token "7": must be 32 hexadecimal digits"#,
        ),
        (
            PrePaid::months(0).unwrap_err(),
            r#"period_num "0": must be 1 to 9 with period_type month"#,
        ),
        (
            PrePaid::months(10).unwrap_err(),
            r#"period_num "10": must be 1 to 9 with period_type month"#,
        ),
        (PrePaid::years(4).unwrap_err(), r#"period_num "4": must be 1 to 3 with period_type year"#),
    ];
    for (error, message) in rows {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_random_token_is_a_uuid_and_never_the_same() {
    let tokens: Vec<String> = (0..1000).map(|_| random_token()).collect();
    for (n, token) in tokens.iter().enumerate() {
        assert!(token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
        assert_eq!(token.as_bytes()[12], b'4', "{token}");
        assert!(b"89ab".contains(&token.as_bytes()[16]), "{token}");
        assert!(!tokens[..n].contains(token), "{token}");
    }
    let token = "0123456789abcdef0123456789ABCDEF";
    assert_eq!(
        CreateFirewall::builder("edge").client_token(token).build().unwrap().client_token(),
        token
    );
}
