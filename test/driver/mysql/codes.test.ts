/** What MySQL's and MariaDB's numbers mean, beside the reason that docs/errors.md tells. */
import { describe, expect, it } from "vitest"
import type { DbError } from "../../../src/DbError.js"
import {
  type Circumstances,
  classify,
  classifyLink,
  type Code,
  codes,
  lookup,
  type RawError
} from "../../../src/internal/driver/mysql/codes.js"

const at: Circumstances = {
  database: "orders",
  statement: "UPDATE t SET a = ?",
  commit: false,
  outcome: undefined,
  statementTimeout: 300,
  lockTimeout: 400
}

const raw = (errno: number, message = "what the server said", more: Partial<RawError> = {}): RawError =>
  Object.assign(new Error(message), { errno, code: "ER_NAME", ...more })

const kind = (error: DbError) => `${error._tag}.${error.reason}`

const numbers = (is: (code: Code) => boolean) =>
  Object.entries<Code>(codes).filter(([, code]) => is(code)).map(([code]) => Number(code))

/** Found while the statement was read, or before it began. */
const refused = [1007, 1008, 1044, 1045, 1046, 1049, 1050, 1051, 1052, 1054, 1055, 1056, 1060, 1061, 1064, 1065, 1066]
  .concat([1072, 1091, 1094, 1109, 1110, 1111, 1116, 1117, 1136, 1140, 1142, 1143, 1146, 1148, 1149, 1193, 1210, 1222])
  .concat([1226, 1227, 1231, 1232, 1238, 1241, 1290, 1295, 1298, 1305, 1318, 1370, 1390, 1426, 1461, 1568, 1698, 1792])
  .concat([1820, 3948, 4166])

/** Of a statement that ran: only it is undone. */
const undone = [1022, 1048, 1062, 1169, 1216, 1217, 1264, 1265, 1292, 1317, 1364, 1365, 1366, 1367, 1406, 1411, 1451]
  .concat([1452, 1557, 1586, 1690, 1969, 3024, 3140, 3141, 3144, 3156, 3572, 3819, 4025, 4038])

/** Their messages repeat a value. */
const quoting = [1022, 1062, 1169, 1216, 1217, 1231, 1265, 1292, 1298, 1366, 1367, 1411, 1557, 1586, 1690, 3140, 3141]
  .concat([3144, 3156, 4038])

const ascending = (list: ReadonlyArray<number>) => [...list].sort((a, b) => a - b)

describe("the table of codes", () => {
  it("says which statements did not run, and what is not known of a COMMIT", () => {
    // The one that was too large to be read is not followed by anything: the server hangs up.
    expect(numbers(({ outcome }) => outcome === "NotSent")).toEqual(ascending([...refused, 1153]))
    expect(numbers(({ outcome }) => outcome === "Unknown")).toEqual([1180])
    expect(numbers(({ outcome }) => outcome === "RolledBack")).toEqual([])
  })

  it("says after which the transaction goes on", () => {
    expect(numbers(({ goesOn }) => goesOn === true)).toEqual(ascending([...refused, ...undone]))
  })

  it("says whose messages hold values", () => {
    expect(numbers(({ quotes }) => quotes === true)).toEqual(quoting)
  })
})

describe("an error of the server", () => {
  it("is found by its number, that of a socket by its name", () => {
    expect(lookup(raw(1062))).toBe(codes[1062])
    expect(lookup(Object.assign(new Error(""), { errno: -111, code: "ECONNREFUSED" }))).toBe(codes.ECONNREFUSED)
    expect(lookup(Object.assign(new Error(""), { errno: 0, code: "EPIPE" }))).toBe(codes.EPIPE)
    expect(lookup(Object.assign(new Error(""), { code: "PROTOCOL_CONNECTION_LOST" }))).toEqual({ link: "Lost" })
    expect(lookup(new Error(""))).toEqual({ quotes: true })
    expect(lookup(raw(9999))).toEqual({ quotes: true })
  })

  it("has its reason, its number, its statement, and what is known of it", () => {
    const cause = raw(1064, "You have an error in your SQL syntax")
    const error = classify(cause, at)
    expect(error).toMatchObject({
      _tag: "QueryError",
      reason: "SqlSyntax",
      code: "1064",
      database: "orders",
      statement: "UPDATE t SET a = ?",
      outcome: "NotSent"
    })
    expect(error.cause).toBe(cause)
    expect(error.message).toContain("You have an error in your SQL syntax")
    expect("detail" in error).toBe(false)
    expect(error.message).not.toContain(", in ")
    expect(classify(raw(1213), at).outcome).toBe("RolledBack")
    expect(classify(raw(1064), { ...at, outcome: "Unknown" }).outcome).toBe("Unknown")
  })

  it("keeps a message with values out of its own, and an unlisted one, too", () => {
    for (const [errno, reason] of [[1062, "UniqueViolation"], [9999, "Unknown"]] as const) {
      const error = classify(raw(errno, "Duplicate entry 'secret' for key 'k'"), { ...at, note: "statement 2" })
      expect(kind(error)).toBe(`QueryError.${reason}`)
      expect(error.message).not.toContain("secret")
      expect(error.message).toContain(", in statement 2")
      expect(error).toMatchObject({ detail: "Duplicate entry 'secret' for key 'k'" })
    }
    expect(classify(raw(1062, "Duplicate entry 'x' for key 'k'"), at)).toMatchObject({ constraint: "k" })
    expect(classify(raw(1048, "Column 'c' cannot be null"), at)).toMatchObject({ column: "c" })
    expect(classify(raw(1048, "Column 'c' cannot be null"), { ...at, note: "statement 2" }).message)
      .toContain("Column 'c' cannot be null, in statement 2")
  })

  it("finds its place in the statement", () => {
    const message =
      "You have an error in your SQL syntax; check the manual for the right syntax to use near 'x' at line 1"
    expect(classify(raw(1064, message), { ...at, statement: "SELEC x" })).toMatchObject({ position: 7 })
  })

  it("is a limit of ours, in milliseconds, or of somebody else", () => {
    for (const errno of [1969, 3024]) {
      expect(classify(raw(errno), at)).toMatchObject({ _tag: "TimeoutError", phase: "Statement", limitMillis: 300 })
    }
    const lock = classify(raw(1205, "Lock wait timeout exceeded"), at)
    expect(lock).toMatchObject({ _tag: "TimeoutError", phase: "Lock", limitMillis: 400, outcome: "RolledBack" })
    expect(lock.message).toContain("Lock wait timeout exceeded")
    expect(classify(raw(1205), { ...at, lockTimeout: undefined })).not.toHaveProperty("limitMillis")
    expect(classify(raw(1205), { ...at, statement: undefined })._tag).toBe("TimeoutError")
  })

  it("is a lock that is held, where the statement does not wait for one", () => {
    for (const statement of ["SELECT * FROM t FOR UPDATE NOWAIT", "select 1 from t for update nowait"]) {
      const error = classify(raw(1205), { ...at, statement, note: "statement 2" })
      expect(kind(error)).toBe("QueryError.LockConflict")
      expect(error.message).toContain("the lock is held by another transaction, in statement 2")
    }
    expect(classify(raw(1205), { ...at, statement: "SELECT nowaits FROM t" })._tag).toBe("TimeoutError")
  })

  it("of a server that only reads is that of the connection, and not each option that forbids a statement", () => {
    const readOnly = "The MySQL server is running with the --read-only option so it cannot execute this statement"
    expect(classify(raw(1290, readOnly), { ...at, outcome: "Unknown" })).toMatchObject({
      _tag: "ConnectionError",
      reason: "ReadOnlyServer",
      outcome: "NotSent"
    })
    expect(kind(classify(raw(1290, readOnly.replace("-only", "_only")), at))).toBe("ConnectionError.ReadOnlyServer")
    expect(kind(classify(raw(1290, "The server is running with the --secure-file-priv option"), at)))
      .toBe("QueryError.Authorization")
    expect(classify(raw(1836, "Running in read-only mode"), { ...at, commit: true })).toMatchObject({
      reason: "ReadOnlyServer",
      outcome: "NotSent"
    })
    expect(kind(classify(raw(1064, readOnly), at))).toBe("QueryError.SqlSyntax")
  })

  it("of a COMMIT leaves it unknown where the link went, or nothing is known", () => {
    const commit = { ...at, commit: true }
    for (const errno of [1053, 2013, 9999]) {
      const error = classify(raw(errno), commit)
      expect(error).toMatchObject({ reason: "CommitUnknown", outcome: "Unknown" })
      expect(error.message).toContain("COMMIT failed")
    }
    expect(kind(classify(raw(1213), commit))).toBe("QueryError.Deadlock")
    expect(kind(classify(raw(1044), commit))).toBe("QueryError.Authorization")
    expect(kind(classify(raw(1205), commit))).toBe("TimeoutError.Lock")
    expect(kind(classify(raw(1053), at))).toBe("ConnectionError.ServerShutdown")
    expect(kind(classify(raw(1044), at))).toBe("QueryError.Authorization")
  })

  it("that the program raises has the program's words, under a number or state that the server does not use", () => {
    const raised = (errno: number, sqlState: string | undefined) =>
      classify(raw(errno, "the word \"red\" is no colour", { sqlState }), at).message.includes("no colour")
    expect(raised(1644, "45000")).toBe(true)
    expect(raised(1644, undefined)).toBe(true)
    expect(raised(30_001, "45000")).toBe(true)
    expect(raised(30_001, "U1234")).toBe(true)
    expect(raised(30_001, undefined)).toBe(false)
    expect(raised(30_001, "U123")).toBe(false)
    expect(raised(30_001, "U12345")).toBe(false)
    expect(raised(30_001, "45001")).toBe(true)
    const own = "00 01 02 08 0A 0K 0Z 20 21 22 23 24 25 28 2F 34 3D 40 42 44 70 HY XA".split(" ")
    for (const state of own) expect(raised(30_001, `${state}000`), state).toBe(false)
    // A number of the server's means what it means.
    expect(raised(1062, "45000")).toBe(false)
    expect(classify(raw(1644, "words", { sqlState: "45000" }), at)).toMatchObject({
      reason: "Unknown",
      detail: "words"
    })
  })
})

describe("an error of the link", () => {
  const link = (cause: unknown) =>
    classifyLink(cause, { database: "orders", where: "h:1", outcome: "NotSent", otherwise: "Unreachable" })

  it("has its reason, and the words of the server where they hold no value", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", errno: -111 })
    const error = link(refused)
    expect(error).toMatchObject({ reason: "Refused", code: "ECONNREFUSED", outcome: "NotSent", database: "orders" })
    expect(error.message).toContain("h:1: connect ECONNREFUSED")
    expect(error.cause).toBe(refused)
    expect(link(raw(1049, "Unknown database 'x'")).reason).toBe("UnknownDatabase")
  })

  it("is the first of those of several addresses", () => {
    const first = Object.assign(new Error("first"), { code: "ENOTFOUND" })
    const all = new AggregateError([first, new Error("second")], "all")
    expect(link(all)).toMatchObject({ reason: "HostNotFound", code: "ENOTFOUND" })
    expect(link(new AggregateError([all], "outer")).reason).toBe("HostNotFound")
    expect(link(new AggregateError([], "none")).message).toContain("h:1: none")
    expect(link("not even an error").message).toContain("h:1: not even an error")
  })

  it("without a code says what it said, and with an unlisted one what its reason means", () => {
    expect(link(new Error("odd words"))).toMatchObject({ reason: "Unreachable" })
    expect(link(new Error("odd words")).message).toContain("h:1: odd words")
    const unlisted = link(raw(9999, "secret"))
    expect(unlisted).toMatchObject({ reason: "Unreachable", code: "9999" })
    expect(unlisted.message).not.toContain("secret")
    expect(unlisted.message).toMatch(/h:1: there is no route/i)
    expect(link(raw(1298, "Unknown time zone: 'secret'")).message).not.toContain("secret")
    expect(link(Object.assign(new Error(""), { code: "ECONNREFUSED" })).message).toMatch(/h:1: nothing listens/i)
  })
})
