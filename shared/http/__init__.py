"""What stands between a socket and a rule: who calls, what they may, how often; requests and answers."""
