/** What SQL Server's numbers mean, beside the reason that docs/errors.md tells. */
import { describe, expect, it } from "vitest"
import type { DbError } from "../../../src/DbError.js"
import {
  type Circumstances,
  classify,
  classifyLink,
  type Code,
  codes,
  firstOf,
  type RawError
} from "../../../src/internal/driver/mssql/codes.js"

const at: Circumstances = {
  database: "orders",
  statement: "UPDATE t SET a = @1",
  commit: false,
  outcome: undefined,
  lockTimeout: 400
}

const raw = (number: number, message = "what the server said"): RawError =>
  Object.assign(new Error(message), { number, code: "EREQUEST" })

const kind = (error: DbError) => `${error._tag}.${error.reason}`

const numbers = (is: (code: Code) => boolean) =>
  Object.entries<Code>(codes).filter(([, code]) => is(code)).map(([code]) => Number(code))

describe("the table of codes", () => {
  it("says which statements did not run", () => {
    const refused = [102, 103, 105, 109, 110, 113, 134, 137, 141, 156, 170, 8003, 8023, 8178, 10738]
    expect(numbers(({ outcome }) => outcome === "NotSent")).toEqual(refused)
    expect(numbers(({ outcome }) => outcome === "Unknown" || outcome === "RolledBack")).toEqual([])
  })

  it("says whose messages hold values", () => {
    const quoting = [102, 105, 220, 244, 245, 248, 1505, 2601, 2627, 2628]
    expect(numbers(({ quotes }) => quotes === true)).toEqual(quoting)
  })
})

describe("an error of the server", () => {
  it("has its reason, its number, its statement, and what is known of it", () => {
    const cause = raw(103, "The identifier is too long")
    const error = classify(cause, at)
    expect(error).toMatchObject({
      _tag: "QueryError",
      reason: "SqlSyntax",
      code: "103",
      database: "orders",
      statement: "UPDATE t SET a = @1",
      outcome: "NotSent"
    })
    expect(error.cause).toBe(cause)
    expect(error.message).toContain("The identifier is too long")
    expect("detail" in error).toBe(false)
    expect(classify(raw(1205), at).outcome).toBe("RolledBack")
    expect(classify(raw(103), { ...at, outcome: "Unknown" }).outcome).toBe("Unknown")
  })

  it("keeps a message with values out of its own, and an unlisted one, too", () => {
    const message = "Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.t'. " +
      "The duplicate key value is (secret)."
    const error = classify(raw(2627, message), at)
    expect(error).toMatchObject({ reason: "UniqueViolation", constraint: "c", table: "t", detail: message })
    expect(error.message).not.toContain("secret")
    const unlisted = classify(raw(49_999, "secret"), at)
    expect(unlisted).toMatchObject({ _tag: "QueryError", reason: "Unknown", detail: "secret" })
    expect(unlisted.message).not.toContain("secret")
  })

  it("that the program raises has the program's words", () => {
    const error = classify(raw(50_000, "the word \"red\" is no colour"), at)
    expect(error.message).toContain("is no colour")
    expect(error).toMatchObject({ reason: "Unknown", detail: "the word \"red\" is no colour" })
    expect(classify(Object.assign(new Error("secret"), { code: "EODD" }), at).message).not.toContain("secret")
  })

  it("of a constraint is a check or a foreign key by its words", () => {
    const conflict = (kind: string) =>
      `The INSERT statement conflicted with the ${kind} constraint "c". The conflict occurred in database "d", table "dbo.t".`
    expect(kind(classify(raw(547, conflict("CHECK")), at))).toBe("QueryError.CheckViolation")
    expect(kind(classify(raw(547, conflict("FOREIGN KEY")), at))).toBe("QueryError.ForeignKeyViolation")
    expect(kind(classify(raw(515, conflict("CHECK")), at))).toBe("QueryError.NotNullViolation")
  })

  it("is a limit of ours, or a lock that is held where the limit is none", () => {
    const error = classify(raw(1222, "Lock request time out period exceeded."), at)
    expect(error).toMatchObject({ _tag: "TimeoutError", phase: "Lock", limitMillis: 400, outcome: "RolledBack" })
    expect(error.message).toContain("Lock request time out period exceeded")
    expect(classify(raw(1222), { ...at, lockTimeout: undefined })).not.toHaveProperty("limitMillis")
    const held = classify(raw(1222), { ...at, lockTimeout: 0 })
    expect(kind(held)).toBe("QueryError.LockConflict")
    expect(held.message).toContain("the lock is held by another transaction")
  })

  it("that ended the link is that of the connection, and leaves a COMMIT unknown", () => {
    const error = classify(raw(596, "Cannot continue the execution"), at)
    expect(error).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "Unknown", code: "596" })
    expect(error.message).toContain("Cannot continue the execution")
    expect(classify(raw(596), { ...at, outcome: "NotSent" }).outcome).toBe("NotSent")
    const commit = classify(raw(596), { ...at, commit: true, outcome: "RolledBack" })
    expect(commit).toMatchObject({ _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
    expect(commit.message).toContain("COMMIT failed")
    expect(kind(classify(raw(911), at))).toBe("QueryError.UndefinedObject")
    expect(kind(classify(raw(3902), { ...at, commit: true }))).toBe("QueryError.TransactionAborted")
  })

  it("is the first of several", () => {
    const first = raw(2627)
    expect(firstOf(new AggregateError([new AggregateError([first]), raw(3621)]))).toBe(first)
    expect(firstOf(new AggregateError([], "none")).message).toBe("none")
    expect(firstOf("words").message).toBe("words")
    expect(kind(classify(new AggregateError([first, raw(3621)]), at))).toBe("QueryError.UniqueViolation")
  })
})

describe("an error of the link", () => {
  const link = (cause: unknown) =>
    classifyLink(cause, { database: "orders", where: "h:1", outcome: "NotSent", otherwise: "Unreachable" })
  const error = (message: string, fields: object) => Object.assign(new Error(message), fields)

  it("is that of the socket behind the library's own code", () => {
    const socket = error("connect ECONNREFUSED", { code: "ECONNREFUSED" })
    const cause = error("Failed to connect", { code: "ESOCKET", cause: socket })
    expect(link(cause)).toMatchObject({
      reason: "Refused",
      code: "ECONNREFUSED",
      outcome: "NotSent",
      database: "orders"
    })
    expect(link(cause).message).toContain("h:1: Failed to connect")
    expect(link(cause).cause).toBe(cause)
    expect(link(error("x", { cause: socket })).reason).toBe("Refused")
    expect(link(error("x", { cause: error("y", { cause: socket }) })).reason).toBe("Refused")
    // Another code says more than what is behind it, and what says nothing is not named.
    expect(link(error("x", { code: "ELOGIN", cause: socket }))).toMatchObject({
      reason: "Authentication",
      code: "ELOGIN"
    })
    expect(link(error("x", { code: "ESOCKET", cause: new Error("y") }))).not.toHaveProperty("code")
    expect(link(error("x", { code: "ESOCKET" }))).toMatchObject({ reason: "Unreachable" })
  })

  it("is that of the server where it has a number", () => {
    expect(link(error("x", { number: 18456, code: "ELOGIN" }))).toMatchObject({
      reason: "Authentication",
      code: "18456"
    })
    expect(link(error("x", { number: 4060, code: "ELOGIN" }))).toMatchObject({
      reason: "UnknownDatabase",
      code: "4060"
    })
  })

  it("is of TLS by each of the codes that Node has for it", () => {
    const tls = ["CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_X"]
      .concat(["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "ERR_TLS_X", "ERR_SSL_WRONG_VERSION_NUMBER", "ERR_OSSL_X", "EPROTO"])
    for (const code of tls) {
      expect(link(error("x", { code })).reason, code).toBe("Tls")
    }
    expect(link(error("x", { code: "X_ERR_TLS" })).reason).toBe("Unreachable")
    expect(link(error("x", { code: "EODD" })).reason).toBe("Unreachable")
  })

  it("without words says what its reason means", () => {
    expect(link(error("", { code: "ECONNREFUSED" })).message).toMatch(/h:1: nothing listens/i)
  })
})
