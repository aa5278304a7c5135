"""Who may call which method: tokens, their roles, and the rule of each method.

rules            what each method needs: a role, and which field of its request names the collection
bearer           the token of a call
tokens           the callers of the tokens in the file that `semsearch token` writes
oidc, key_sets   the callers of tokens that an OpenID provider issued, and the provider's keys
suite_key        the callers of calls inside the suite, signed by the suite's own key
identity         whose a token is, and until when
authentication   which of these a token is, and whose
ended_streams    ends the streams of tokens that were revoked or changed, or have expired
gate             refuses a call that its caller may not make
watched_file     a file that is read again when it changes
exposure         whether a service may listen where it is set to listen
settings, errors what operators set, and why a call is refused
"""
