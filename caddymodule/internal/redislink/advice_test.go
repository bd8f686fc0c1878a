package redislink

import "testing"

// TestExplainReply reads what versions of Redis answer, scripts wrapped and not.
func TestExplainReply(t *testing.T) {
	for text, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'. script: 12, on @user_script:12.":            "OOM",
		"ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -OOM command not allowed": "OOM",
		"READONLY You can't write against a read only replica. script: 12":                                   "READONLY",
		"NOAUTH HELLO must be called with the client already authenticated":                                  "NOAUTH",
		"ERR The user executing the script can't run this command or subcommand script: 12":                  "NOPERM",
		"NOPERM this user has no permissions to run the 'eval' command":                                      "NOPERM",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":                   "MASTERDOWN",
		"MOVED 1234 127.0.0.1:7000":                 "MOVED",
		"WRONGTYPE Operation against a key holding": "WRONGTYPE",
		"ERR unknown command 'EVALSHA'":             "ERR",
	} {
		if got := explainReply(text, ""); got.Code != want || got.Advice == "" {
			t.Errorf("%s: %+v, want %s", text, got, want)
		}
	}
}
