package caddymodule

// formAttacks are on the reading of forms and queries.
func formAttacks() []attack {
	mallory, hash := `"user_id":"mallory"`, `"user_hash":"`+sign("mallory")+`"`
	query := "user_hash=" + sign("mallory")
	const js, form = "application/json", "application/x-www-form-urlencoded"
	return []attack{
		{"claim as form", "/chat", form, `{` + mallory + `,` + hash + `,"a":"&user_id=victim&"}`, nil},
		{"form", "/chat", form, "user_id=mallory&user_id=victim&" + query, nil},
		{"form, array", "/chat", form, "user_id=mallory&user_id[]=victim&" + query, nil},
		{"form, dot", "/chat", form, "user_id=mallory&user.id=victim&" + query, nil},
		{"form, blank", "/chat", form, "user_id=mallory&+user_id=victim&" + query, nil},
		{"form, semicolon", "/chat", form, "user_id=mallory;user_id=victim&" + query, nil},
		{"form, NUL", "/chat", form, "user_id=mallory&user_id%00=victim&" + query, nil},
		{"form with a bad escape", "/chat", form, "user_id=victim%&" + query, nil},
		{"multipart without a boundary", "/chat", "multipart/form-data", "--a\r\n\r\nvictim", nil},
		{"query beside the body", "/chat?user_id=victim", js, `{` + mallory + `,` + hash + `}`, nil},
		{"query twice", "/chat?user_id=mallory&user_id=victim&" + query, "", "", nil},
		{"query, upper case", "/chat?user_id=mallory&USER_ID=victim&" + query, "", "", nil},
		{"query, escaped name", "/chat?user_id=mallory&%75ser_id=victim&" + query, "", "", nil},
		{"query, semicolon", "/chat?user_id=mallory&x=1;user_id=victim&" + query, "", "", nil},
		{"query, half", "/chat?user_id=victim", "", "", nil},
		{"query, array", "/chat?user_id[0]=victim&" + query, "", "", nil},
		{"query, bad escape", "/chat?user_id=victim%zz&" + query, "", "", nil},
		{"query of an absolute URL", "http://127.0.0.1/chat?user_id=victim&" + query, "", "", nil},
	}
}
