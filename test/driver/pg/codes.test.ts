import { assert, describe, it } from "@effect/vitest"
import { connectionReasons, queryReasons, timeoutPhases } from "../../../src/DbError.js"
import type { Circumstances, Code, ServerError } from "../../../src/internal/driver/pg/codes.js"
import { classify, classifyLink, codes, isFatal, lookup } from "../../../src/internal/driver/pg/codes.js"

const at: Circumstances = {
  database: "orders",
  outcome: "RolledBack",
  statement: "SELECT $1",
  fatal: false,
  commit: false,
  cancelling: false,
  statementTimeout: 0,
  lockTimeout: 0,
  idleTimeout: 7,
  foreignLimits: false,
  ranMillis: 1_000_000,
  idleMillis: 1_000_000
}

const serverError = (code: string, message = "what the server said", more: Partial<ServerError> = {}): ServerError =>
  Object.assign(new Error(message), { severity: "ERROR", code, ...more })

const socketError = (code: string, message = code) => Object.assign(new Error(message), { code })

const linkReason = (cause: unknown) =>
  classifyLink(cause, { database: "orders", where: "h:1", outcome: "NotSent", otherwise: "Unknown" }).reason

describe("codes of PostgreSQL", () => {
  it("every line names reasons that exist, under a code or a class", () => {
    for (const [code, meaning] of Object.entries<Code>(codes)) {
      assert.match(code, /^([0-9A-Z]{2}|[0-9A-Z]{5}|E[A-Z_]+|[A-Z_]+)$/)
      assert.isTrue(
        (meaning.link === undefined || meaning.link in connectionReasons) &&
          (meaning.statement === undefined || meaning.statement in queryReasons) &&
          (meaning.timeout === undefined || meaning.timeout in timeoutPhases),
        code
      )
    }
  })

  it("a code has its own line, else that of its class", () => {
    assert.strictEqual(lookup("23505").statement, "UniqueViolation")
    assert.strictEqual(lookup("23999").statement, "CheckViolation")
    assert.strictEqual(lookup("22P02").statement, "DataError")
    assert.strictEqual(lookup("2201E").statement, "DataError")
    assert.strictEqual(lookup("40001").statement, "Serialization")
    assert.strictEqual(lookup("3D000").link, "UnknownDatabase")
    assert.strictEqual(lookup("CERT_HAS_EXPIRED").link, "Tls")
    assert.deepStrictEqual(lookup("ZZ999"), {})
    assert.deepStrictEqual(lookup(undefined), {})
    assert.deepStrictEqual(lookup("EPERM").link, "Refused")
  })

  it("the same code means one thing for a statement and another for the link", () => {
    assert.strictEqual(classify(serverError("3D000"), at).reason, "UndefinedObject")
    assert.strictEqual(classify(serverError("3D000"), { ...at, fatal: true }).reason, "UnknownDatabase")
    assert.strictEqual(classify(serverError("42501"), at)._tag, "QueryError")
    assert.strictEqual(classify(serverError("42501"), { ...at, fatal: true })._tag, "ConnectionError")
    assert.strictEqual(classify(serverError("XX000"), at).reason, "Unknown")
  })

  it("57014 and 55P03 are timeouts only where a limit was kept, and not while we cancel", () => {
    const stopped = serverError("57014", "canceling", { routine: "ProcessInterrupts" })
    assert.strictEqual(classify(stopped, at)._tag, "QueryError")
    const limited = classify(stopped, { ...at, statementTimeout: 5 })
    assert.deepStrictEqual([limited._tag, limited.reason], ["TimeoutError", "Statement"])
    assert.strictEqual(classify(stopped, { ...at, statementTimeout: 5, cancelling: true })._tag, "QueryError")
    const noWait = serverError("55P03", "could not obtain lock", { routine: "LockAcquireExtended" })
    assert.strictEqual(classify(noWait, { ...at, lockTimeout: 5 }).reason, "LockConflict")
  })

  it("what ends a COMMIT together with the link leaves it unknown", () => {
    const error = classify(serverError("57P01"), { ...at, fatal: true, commit: true })
    assert.deepStrictEqual([error._tag, error.reason, error.outcome], ["QueryError", "CommitUnknown", "Unknown"])
  })

  it("the end of the link is seen in any language", () => {
    assert.isTrue(isFatal(serverError("57P01", "", { severity: "ВАЖНО" })))
    assert.isTrue(isFatal(serverError("25P03", "", { severity: "致命的" })))
    assert.isTrue(isFatal(serverError("28P01", "", { severity: "FATAL" })))
    assert.isFalse(isFatal(serverError("23505", "", { severity: "ОШИБКА" })))
  })

  it("the server's quotation of a value stays out of the message", () => {
    const raised = classify(
      Object.assign(serverError("22023", "the word \"red\" is no colour"), { routine: "exec_stmt_raise" }),
      at
    )
    assert.include(raised.message, "the word \"red\" is no colour")
    const error = classify(serverError("22P02", "invalid input syntax for type integer: \"secret \" quoted\n\""), at)
    assert.notInclude(error.message, "secret")
    assert.include(error.message, "invalid input syntax for type integer")
    assert.include(error.message, "\"orders\"")
  })

  it("socket codes, also inside the error that Node makes of several addresses", () => {
    assert.strictEqual(linkReason(socketError("ECONNREFUSED")), "Refused")
    assert.strictEqual(linkReason(socketError("ENOTFOUND")), "HostNotFound")
    assert.strictEqual(linkReason(socketError("EHOSTUNREACH")), "Unreachable")
    assert.strictEqual(linkReason(socketError("ECONNRESET")), "Lost")
    assert.strictEqual(linkReason(socketError("ERR_TLS_CERT_ALTNAME_INVALID")), "Tls")
    assert.strictEqual(linkReason(socketError("UNABLE_TO_VERIFY_LEAF_SIGNATURE")), "Tls")
    assert.strictEqual(
      linkReason(new AggregateError([socketError("ECONNREFUSED"), socketError("ECONNREFUSED")], "")),
      "Refused"
    )
    assert.strictEqual(linkReason(new Error("The server does not support SSL connections")), "Tls")
    assert.strictEqual(linkReason("not even an error"), "Unknown")
  })

  it("what a pooler says under one code is told apart by its text", () => {
    const texts = {
      "database \"x\" does not exist": "UnknownDatabase",
      "no such database: x": "UnknownDatabase",
      "SASL authentication failed": "Authentication",
      "password authentication failed for user \"x\"": "Authentication",
      "no more connections allowed (max_client_conn)": "TooManyConnections",
      "sorry, too many clients already": "TooManyConnections",
      "query_wait_timeout": "TooManyConnections",
      "the database system is starting up": "ServerStarting",
      "pgbouncer is shutting down": "ServerShutdown",
      "pgbouncer cannot connect to server": "Refused",
      "server login has been failing, try again later (server_login_retry)": "Refused",
      "server conn crashed?": "Lost",
      "server closed the connection unexpectedly": "Lost",
      "database removed": "Lost",
      "query timeout": "Lost",
      "idle transaction timeout": "Lost",
      "client_idle_timeout": "Lost",
      "unsupported startup parameter: x": "Unsupported",
      "database \"x\" is disabled": "Refused",
      "database does not allow connections: x": "Refused",
      "transaction blocks not allowed in statement pooling mode": "Unsupported",
      "something else": "Unknown"
    }
    for (const [text, reason] of Object.entries(texts)) {
      assert.strictEqual(linkReason(serverError("08P01", text)), reason, text)
      const error = classify(serverError("08P01", text, { severity: "FATAL" }), { ...at, fatal: true })
      assert.deepStrictEqual([error._tag, "reason" in error && error.reason], ["ConnectionError", reason], text)
    }
    assert.strictEqual(linkReason(serverError("3D000", "no more connections allowed")), "UnknownDatabase")
  })

  it("what a pooler does not allow is advised on, by both ways to its text", () => {
    const texts = {
      "database \"x\" is disabled": /Enable it in PgBouncer's console \(ENABLE\)/,
      "transaction blocks not allowed in statement pooling mode": /Set pool_mode = transaction or session/
    }
    for (const [text, advice] of Object.entries(texts)) {
      const error = serverError("08P01", text, { severity: "FATAL" })
      assert.match(classify(error, { ...at, fatal: true }).message, advice)
      assert.match(
        classifyLink(error, { database: "d", where: "h:1", outcome: "NotSent", otherwise: "Unknown" }).message,
        advice
      )
    }
  })

  it("a count of parameters that does not fit is told by where it is found, in any language", () => {
    const said = "bind message supplies 3 parameters, but prepared statement \"\" requires 0"
    const error = classify(serverError("08P01", said, { routine: "exec_bind_message" }), { ...at, outcome: "NotSent" })
    assert.deepInclude(error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
    assert.match(error.message, /supplies 3 parameters.*Give one value for each/)
    assert.strictEqual(classify(serverError("08P01", "else"), at).reason, "Unknown")
  })

  it("what a pooler never handed to the server is not sent", () => {
    const fatal = { ...at, fatal: true, outcome: "Unknown" as const }
    const outcomes = [
      ["08P01", "query_wait_timeout", fatal, "NotSent"],
      ["08P01", "query_timeout", fatal, "NotSent"],
      ["08P01", "query_wait_timeout", { ...fatal, outcome: "RolledBack" }, "RolledBack"],
      ["08P01", "query_wait_timeout", { ...fatal, commit: true }, "Unknown"],
      ["08P01", "query timeout", fatal, "Unknown"],
      ["57P01", "query_wait_timeout", fatal, "Unknown"]
    ] as const
    for (const [code, text, circumstances, outcome] of outcomes) {
      assert.strictEqual(classify(serverError(code, text), circumstances).outcome, outcome, text)
    }
  })

  it("a prepared statement that is missing, or there already, names the option for poolers", () => {
    for (const code of ["26000", "42P05"]) {
      assert.include(classify(serverError(code), at).message, "prepare: false (?pgbouncer=true in the URL)")
    }
  })

  it("the certificate that was refused is not dragged along", () => {
    const certificate: Record<string, unknown> = {}
    certificate["issuerCertificate"] = certificate
    const cause = Object.assign(socketError("ERR_TLS_CERT_ALTNAME_INVALID"), { cert: certificate })
    const error = classifyLink(cause, { database: "d", where: "h:1", outcome: "NotSent", otherwise: "Unknown" })
    assert.isString(JSON.stringify(error))
    assert.deepInclude(error.cause, { code: cause.code, message: cause.message, stack: cause.stack })
    // Any other one is what it was.
    const other = socketError("EPIPE")
    const at = { database: "d", where: "h:1", outcome: "NotSent", otherwise: "Unknown" } as const
    assert.strictEqual(classifyLink(other, at).cause, other)
  })

  it("codes of TLS are found by their beginning, and no other code is", () => {
    const tls = [
      "ERR_TLS_X",
      "ERR_SSL_X",
      "ERR_OSSL_X",
      "CERT_X",
      "CRL_HAS_EXPIRED",
      "UNABLE_TO_X",
      "DEPTH_ZERO_SELF_SIGNED_CERT"
    ]
    for (const code of tls) assert.deepStrictEqual(lookup(code), { link: "Tls" }, code)
    for (const code of ["ERR_X", "X_CERT", "0800", "080011", "ENEW"]) assert.deepStrictEqual(lookup(code), {}, code)
  })

  it("an error has what the server said of the statement, and nothing that it left out", () => {
    const said = serverError("23505", "duplicate key value violates unique constraint \"k\"", {
      constraint: "k",
      schema: "s",
      table: "t",
      column: "c",
      detail: "Key (c)=(1) already exists.",
      hint: "try another",
      position: "17"
    })
    const error = classify(said, { ...at, hint: "ours" })
    assert.deepInclude(error, {
      _tag: "QueryError",
      reason: "UniqueViolation",
      code: "23505",
      constraint: "k",
      schema: "s",
      table: "t",
      column: "c",
      detail: "Key (c)=(1) already exists.",
      hint: "try another",
      position: 17,
      statement: "SELECT $1",
      database: "orders",
      outcome: "RolledBack",
      cause: said
    })
    assert.include(error.message, "duplicate key value violates unique constraint \"k\"")
    const empty = { constraint: "", schema: "", table: "", column: "", detail: "", hint: "", position: "0" }
    const bare = classify(serverError("23505", "what the server said", empty), at)
    assert.doesNotHaveAnyKeys(bare, Object.keys(empty))
    assert.deepInclude(classify(serverError("23505"), { ...at, hint: "ours" }), { hint: "ours" })
    const atCommit = classify(serverError("57P01", "x", { hint: "theirs" }), { ...at, fatal: true, commit: true })
    assert.deepInclude(atCommit, { reason: "CommitUnknown", hint: "theirs" })
    // The link of another statement, and a COMMIT whose link lives.
    assert.strictEqual(classify(serverError("57P01"), { ...at, fatal: true }).reason, "ServerShutdown")
    assert.strictEqual(classify(serverError("40001"), { ...at, commit: true }).reason, "Serialization")
    assert.strictEqual(classify(serverError("XX000"), { ...at, fatal: true }).reason, "Unknown")
  })

  it("quoted values stay out of messages of class 22 only", () => {
    const words = "invalid value: \"one\" and \"two\n\" here"
    assert.include(classify(serverError("22P02", words), at).message, "invalid value: \"…\" here")
    assert.include(classify(serverError("23514", words), at).message, words)
    const raised = serverError("22023", words, { routine: "exec_stmt_raise" })
    assert.include(classify(raised, at).message, words)
    const without: ServerError = Object.assign(new Error(words), { severity: "ERROR" })
    assert.include(classify(without, at).message, words)
  })

  it("several statements in one that is prepared, and no other syntax error, are told to be run one by one", () => {
    const advice = "Run the statements one by one, or all of them by Db.batch."
    const several = serverError("42601", "cannot insert multiple commands", { routine: "exec_parse_message" })
    assert.include(classify(several, at).message, advice)
    assert.notInclude(classify(serverError("42601", "x", { routine: "scanner_yyerror" }), at).message, advice)
    assert.notInclude(classify(serverError("42501", "x", { routine: "exec_parse_message" }), at).message, advice)
    assert.notInclude(classify(serverError("42601"), at).message, "prepare: false")
  })

  it("a limit of the server's is ours where it can have been", () => {
    const stopped = (message: string) => serverError("57014", message, { routine: "ProcessInterrupts" })
    const phase = (error: ServerError, more: Partial<Circumstances>) => {
      const found = classify(error, { ...at, ...more })
      return found._tag === "TimeoutError" ? [found.phase, found.limitMillis] : found.reason
    }
    const words = "canceling statement due to statement timeout"
    assert.deepStrictEqual(phase(stopped("x"), { statementTimeout: 500, ranMillis: 500 }), ["Statement", 500])
    // By hand (pg_cancel_backend), and before our limit.
    assert.deepStrictEqual(phase(stopped("x"), { statementTimeout: 500, ranMillis: 100 }), "Unknown")
    assert.deepStrictEqual(phase(stopped("x"), {}), "Unknown")
    assert.deepStrictEqual(phase(stopped("timeouts"), {}), "Unknown")
    assert.deepStrictEqual(phase(stopped(words), {}), ["Statement", undefined])
    assert.deepStrictEqual(phase(stopped("x"), { foreignLimits: true }), ["Statement", undefined])
    assert.deepStrictEqual(phase(stopped("x"), { foreignLimits: true, statementTimeout: 5 }), ["Statement", undefined])
    assert.deepStrictEqual(phase(stopped(words), { cancelling: true }), "Unknown")
    assert.deepStrictEqual(phase(serverError("57014", words), {}), "Unknown")
    const lock = serverError("55P03", "canceling statement due to lock timeout", { routine: "ProcessInterrupts" })
    assert.deepStrictEqual(phase(lock, { lockTimeout: 300 }), ["Lock", 300])
    assert.deepStrictEqual(phase(lock, {}), ["Lock", undefined])
    assert.deepStrictEqual(phase(lock, { lockTimeout: 300, cancelling: true }), "LockConflict")
    assert.deepStrictEqual(phase(serverError("42601", words, { routine: "ProcessInterrupts" }), {}), "SqlSyntax")
    const idle = serverError("25P03", "terminating connection due to idle-in-transaction timeout")
    assert.deepStrictEqual(phase(idle, { fatal: true }), ["IdleInTransaction", 7])
    assert.deepStrictEqual(phase(idle, { fatal: true, idleMillis: 0, idleTimeout: 700 }), [
      "IdleInTransaction",
      undefined
    ])
    assert.deepStrictEqual(phase(serverError("25P04"), { fatal: true }), ["Transaction", undefined])
    assert.strictEqual(classify(idle, { ...at, outcome: "NotSent" }).outcome, "NotSent")
  })

  it("the end of the link is seen by severity and by code", () => {
    assert.isTrue(isFatal(serverError("XX000", "", { severity: "PANIC" })))
    assert.isTrue(isFatal(serverError("XX000", "", { severity: undefined })))
    assert.isTrue(isFatal(serverError("25P04", "", { severity: "致命的" })))
    assert.isFalse(isFatal(serverError("57014", "", { severity: "ОШИБКА" })))
    assert.isFalse(isFatal(serverError("57P1X", "", { severity: "ОШИБКА" })))
    assert.isFalse(isFatal(serverError("25P02", "", { severity: "ERROR" })))
    assert.isFalse(isFatal(serverError("ZZ999", "", { severity: "ERROR" })))
    assert.isFalse(isFatal(Object.assign(new Error(""), { severity: "ERROR" })))
  })

  it("an error of the link says where, and the most that is known", () => {
    const where = { database: "orders", where: "h:1", outcome: "NotSent", otherwise: "Unreachable" } as const
    const cause = socketError("ECONNREFUSED", "connect refused")
    const error = classifyLink(cause, where)
    assert.deepInclude(error, {
      reason: "Refused",
      code: "ECONNREFUSED",
      outcome: "NotSent",
      database: "orders",
      cause
    })
    assert.include(error.message, "h:1: connect refused")
    assert.include(classifyLink(socketError("EPIPE", ""), where).message, "h:1: EPIPE")
    assert.match(classifyLink(new Error(""), where).message, /h:1: there is no route/i)
    assert.include(classifyLink("words", where).message, "h:1: words")
    const nested = new AggregateError([new AggregateError([cause], "inner"), new Error("second")], "outer")
    assert.deepInclude(classifyLink(nested, where), { reason: "Refused" })
    assert.include(classifyLink(new AggregateError([], "none"), where).message, "h:1: none")
    const texts = {
      "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string": "Authentication",
      "Password must be a string": "Authentication",
      "The server does not support SSL connections": "Tls",
      "There was an error establishing an SSL connection": "Tls",
      "Unknown authenticationOk message type": "Unsupported",
      "Connection terminated unexpectedly": "Lost",
      "no SASL": "Unreachable",
      "the Password must be": "Unreachable",
      "an Unknown authenticationOk": "Unreachable",
      "the Connection terminated": "Unreachable",
      "something else": "Unreachable"
    }
    for (const [text, reason] of Object.entries(texts)) {
      assert.strictEqual(classifyLink(new Error(text), where).reason, reason, text)
    }
  })

  it("a pooler's texts are taken whole, and only under its code", () => {
    const others = {
      "database \"orders\" does not exist": "UnknownDatabase",
      "role \"a\nb\" does not exist": "Authentication",
      "ask for no such database": "Unknown",
      "database \"x\" does not exist, says he": "Unknown",
      "the database \"x\" does not exist": "Unknown",
      "Authentication Failed": "Authentication",
      "no such user: x": "Authentication",
      "there is no such user": "Unknown",
      "role \"x\" does not exist": "Authentication",
      "role \"x\" does not exist, says he": "Unknown",
      "the role \"x\" does not exist": "Unknown",
      "permission denied for database \"x\"": "Authorization",
      "a permission denied for database": "Unknown",
      "too many connections for role": "TooManyConnections",
      "there are too many connections": "Unknown",
      "remaining connection slots are reserved": "TooManyConnections",
      "the remaining connection slots": "Unknown",
      "says no more connections allowed": "Unknown",
      "a query_wait_timeout": "Lost",
      "that the database system is starting up": "Unknown",
      "the database system is shutting down": "ServerShutdown",
      "that pgbouncer is shutting down": "Unknown",
      "terminating connection due to administrator command": "ServerShutdown",
      "is terminating connection due to administrator": "Unknown",
      "cannot connect to server": "Refused",
      "he cannot connect to server": "Unknown",
      "server login failed: wrong": "Refused",
      "the server login failed": "Unknown",
      "server_login_retry": "Refused",
      "a server_login_retry": "Unknown",
      "server connection crashed": "Lost",
      "the server conn crashed": "Unknown",
      "that server closed the connection": "Unknown",
      "client_idle_timeout now": "Unknown",
      "a client_idle_timeout": "Lost",
      "server_lifetime_timeout": "Lost",
      "a _timeout of something": "Unknown",
      "unsupported startup parameters: x": "Unsupported",
      "unsupported options startup parameter: x": "Unsupported",
      "an unsupported startup parameter": "Unknown"
    }
    for (const [text, reason] of Object.entries(others)) {
      assert.strictEqual(linkReason(serverError("08P01", text)), reason, text)
    }
    assert.strictEqual(linkReason(serverError("ZZ999", "no such user")), "Unknown")
  })
})
