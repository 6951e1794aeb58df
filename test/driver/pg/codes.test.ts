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
      "something else": "Unknown"
    }
    for (const [text, reason] of Object.entries(texts)) {
      assert.strictEqual(linkReason(serverError("08P01", text)), reason, text)
      const error = classify(serverError("08P01", text, { severity: "FATAL" }), { ...at, fatal: true })
      assert.deepStrictEqual([error._tag, "reason" in error && error.reason], ["ConnectionError", reason], text)
    }
    assert.strictEqual(linkReason(serverError("3D000", "no more connections allowed")), "UnknownDatabase")
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
  })
})
