/** What SQLite's result codes mean, and what its messages tell where a code does not: without a database, by the texts alone. */
import { describe, expect, it } from "vitest"
import {
  classify,
  type Code,
  codeOf,
  codes,
  connectTimeout,
  Fault,
  FunctionError,
  isBusy,
  lockTimeout
} from "../../../src/internal/driver/sqlite/codes.js"

const place = { database: "orders", text: "SELECT 1" }

const thrown = (code: string, message = "what SQLite said") => Object.assign(new Error(message), { code })

const fields = (cause: unknown) => classify(place, cause).fields

const reason = (message: string) => {
  const found = fields(thrown("SQLITE_ERROR", message))
  return found._tag === "QueryError" ? found.reason : found._tag
}

describe("the table of codes", () => {
  /** https://www.sqlite.org/rescode.html */
  it("has SQLite's numbers", () => {
    const primary = {
      ERROR: 1,
      INTERNAL: 2,
      PERM: 3,
      ABORT: 4,
      BUSY: 5,
      LOCKED: 6,
      NOMEM: 7,
      READONLY: 8,
      INTERRUPT: 9
    }
    const more = { IOERR: 10, CORRUPT: 11, NOTFOUND: 12, FULL: 13, CANTOPEN: 14, PROTOCOL: 15, SCHEMA: 17, TOOBIG: 18 }
    const last = { CONSTRAINT: 19, MISMATCH: 20, MISUSE: 21, AUTH: 23, RANGE: 25, NOTADB: 26 }
    const extended = {
      ERROR_SNAPSHOT: 1 | 3 << 8,
      ABORT_ROLLBACK: 4 | 2 << 8,
      BUSY_RECOVERY: 5 | 1 << 8,
      BUSY_SNAPSHOT: 5 | 2 << 8,
      READONLY_DBMOVED: 8 | 4 << 8,
      IOERR_NOMEM: 10 | 12 << 8,
      CONSTRAINT_CHECK: 19 | 1 << 8,
      CONSTRAINT_FOREIGNKEY: 19 | 3 << 8,
      CONSTRAINT_NOTNULL: 19 | 5 << 8,
      CONSTRAINT_PRIMARYKEY: 19 | 6 << 8,
      CONSTRAINT_TRIGGER: 19 | 7 << 8,
      CONSTRAINT_UNIQUE: 19 | 8 << 8,
      CONSTRAINT_ROWID: 19 | 10 << 8,
      CONSTRAINT_DATATYPE: 19 | 12 << 8
    }
    const expected = Object.entries({ ...primary, ...more, ...last, ...extended })
    const actual = Object.entries<Code>(codes).map(([name, { number }]) => [name.slice("SQLITE_".length), number])
    expect(new Map(actual as Array<[string, number]>)).toEqual(new Map(expected))
  })

  it("says that a failed statement is undone, but for a failed write to the disk", () => {
    const unknown = Object.entries<Code>(codes).filter(([, { outcome }]) => outcome !== "RolledBack")
    expect(unknown.map(([name, { outcome }]) => [name, outcome])).toEqual([["SQLITE_IOERR", "Unknown"]])
  })

  it("stands for the extended codes that it does not list, by the longest name that it has", () => {
    expect(fields(thrown("SQLITE_IOERR_SHORT_READ"))).toMatchObject({ _tag: "ConnectionError", reason: "Lost" })
    expect(fields(thrown("SQLITE_CONSTRAINT_UNIQUE_X"))).toMatchObject({ reason: "UniqueViolation" })
    expect(fields(thrown("SQLITE_NEW"))).toMatchObject({ _tag: "QueryError", reason: "Unknown", outcome: "RolledBack" })
    expect(fields(thrown("SQLITE_"))).toMatchObject({ _tag: "QueryError", reason: "Unknown" })
  })
})

describe("a code", () => {
  it("is that of an error that has one", () => {
    expect(codeOf(thrown("SQLITE_BUSY"))).toBe("SQLITE_BUSY")
    for (const cause of [undefined, null, "SQLITE_BUSY", {}, { code: 5 }, new Error("x")]) {
      expect(codeOf(cause)).toBeUndefined()
    }
    expect(codeOf(Object.assign(() => {}, { code: "SQLITE_BUSY" }))).toBeUndefined()
  })

  it("may be one that a wait can cure", () => {
    for (const code of ["SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_PROTOCOL"]) {
      expect(isBusy(thrown(code))).toBe(true)
    }
    for (const code of ["SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", ""]) expect(isBusy(thrown(code))).toBe(false)
  })
})

describe("a message", () => {
  it("tells what is wrong in a statement", () => {
    const texts = {
      "near \"SELEC\": syntax error": "SqlSyntax",
      "near \"no such table\": no such table": "SqlSyntax",
      "x near \"no\"": "Unknown",
      "a syntax error": "SqlSyntax",
      "incomplete input": "SqlSyntax",
      "an incomplete input": "Unknown",
      "unrecognized token: \"'abc\"": "SqlSyntax",
      "an unrecognized token": "Unknown",
      "wrong number of arguments to function abs()": "SqlSyntax",
      "the wrong number of arguments": "Unknown",
      "table team has 3 columns but 1 values were supplied": "SqlSyntax",
      "table team has 13 columns but 12 values were supplied": "SqlSyntax",
      "1 values for 2 columns": "SqlSyntax",
      "11 values for 22 columns": "SqlSyntax",
      "ambiguous column name: id": "SqlSyntax",
      "an ambiguous column name": "Unknown",
      "misuse of aggregate: count()": "SqlSyntax",
      "the misuse of it": "Unknown",
      "parser stack overflow": "SqlSyntax",
      "a parser stack overflow": "Unknown",
      "RAISE() may not be used here": "SqlSyntax",
      "Expression tree is too large (maximum depth 1000)": "SqlSyntax",
      "The expression tree is too large": "Unknown",
      "too many columns on t": "SqlSyntax",
      "too many terms in compound SELECT": "SqlSyntax",
      "too many arguments on function f": "SqlSyntax",
      "too many FROM clause terms, max: 200": "SqlSyntax",
      "too many references to \"t\": max 65535": "SqlSyntax",
      "with too many columns": "Unknown",
      "at most 64 tables in a join": "SqlSyntax",
      "at most 6 tables in a join": "SqlSyntax",
      "it is at most 64 tables in a join": "Unknown",
      "LIKE or GLOB pattern too complex": "DataError",
      "pattern too complex it is": "Unknown",
      "too many SQL variables": "Parameter",
      "with too many SQL variables": "Unknown",
      "variable number must be between ?1 and ?32766": "Parameter",
      "the variable number must be between": "Unknown",
      "malformed JSON": "DataError",
      "integer overflow": "DataError",
      "an integer overflow": "Unknown",
      "bad JSON path: 'x'": "DataError",
      "a JSON path error": "DataError",
      "bad JSON": "DataError",
      "such bad JSON": "Unknown",
      "unknown database x": "UndefinedObject",
      "an unknown database": "Unknown",
      "unknown table option: X": "UndefinedObject",
      "no such collation sequence: X": "UndefinedObject",
      "table team has no column named absent": "UndefinedObject",
      "cannot commit - no transaction is active": "Unknown"
    }
    for (const [text, expected] of Object.entries(texts)) expect(reason(text), text).toBe(expected)
    const kinds = "table column index view trigger function module collation savepoint schema database".split(" ")
    for (const kind of kinds) {
      expect(reason(`no such ${kind}: x`), kind).toBe("UndefinedObject")
      expect(reason(`there is no such ${kind}`), kind).toBe("Unknown")
    }
  })

  it("tells it under the generic code only, and a wrong statement is to be corrected", () => {
    expect(fields(thrown("SQLITE_ERROR", "near \"x\": syntax error"))).toMatchObject({
      _tag: "QueryError",
      code: "SQLITE_ERROR",
      what: "near \"x\": syntax error",
      advice: "correct the statement"
    })
    const busy = fields(thrown("SQLITE_BUSY", "near \"x\": syntax error"))
    expect(busy).toMatchObject({ reason: "LockConflict", outcome: "RolledBack", advice: undefined })
  })

  it("names a constraint's table and columns, where nothing else can be meant", () => {
    const names = (code: string, message: string) => {
      const { column, constraint, table } = {
        column: undefined,
        constraint: undefined,
        table: undefined,
        ...fields(thrown(`SQLITE_CONSTRAINT_${code}`, message))
      }
      return { constraint, table, column }
    }
    const none = { constraint: undefined, table: undefined, column: undefined }
    const of = (text: string) => `UNIQUE constraint failed: ${text}`
    expect(names("UNIQUE", of("t.a"))).toEqual({ constraint: "t.a", table: "t", column: "a" })
    expect(names("UNIQUE", of("t.a, t.b"))).toEqual({ constraint: "t.a, t.b", table: "t", column: undefined })
    expect(names("PRIMARYKEY", of("t.x, y"))).toEqual({ constraint: "t.x, y", table: "t", column: "x, y" })
    expect(names("UNIQUE", of("index 'i''s'"))).toEqual({ ...none, constraint: "i''s" })
    expect(names("UNIQUE", of("index 'i' x"))).toEqual({ ...none, constraint: "index 'i' x" })
    expect(names("UNIQUE", of("an index 'i'"))).toEqual({ ...none, constraint: "an index 'i'" })
    expect(names("UNIQUE", of("a.b.c"))).toEqual({ ...none, constraint: "a.b.c" })
    expect(names("UNIQUE", of("two\nlines.a"))).toEqual({
      constraint: "two\nlines.a",
      table: "two\nlines",
      column: "a"
    })
    expect(names("NOTNULL", "NOT NULL constraint failed: t.a")).toEqual({
      constraint: undefined,
      table: "t",
      column: "a"
    })
    expect(names("CHECK", "CHECK constraint failed: t.a")).toEqual({ ...none, constraint: "t.a" })
    expect(names("FOREIGNKEY", "FOREIGN KEY constraint failed")).toEqual(none)
    // The words of a trigger are its author's.
    expect(names("TRIGGER", of("t.a"))).toEqual(none)
    for (const name of ["constraint", "table", "column"]) {
      expect(fields(thrown("SQLITE_BUSY", of("t.a")))).not.toHaveProperty(name)
    }
  })
})

describe("what is no error of SQLite", () => {
  it("and is classified already stays what it is", () => {
    const fault = lockTimeout(place, 300, thrown("SQLITE_BUSY"))
    expect(classify({ database: "other" }, fault)).toBe(fault)
  })

  it("but of the library is a mistake of the program's", () => {
    const closed = fields(new TypeError("The database connection is not open"))
    expect(closed).toMatchObject({
      _tag: "ConnectionError",
      reason: "Closed",
      outcome: "NotSent",
      what: "the connection is closed"
    })
    const texts = {
      "Too few parameter values were provided": "Parameter",
      "SQLite3 can only bind numbers": "Parameter",
      "The bound value": "Parameter",
      "The supplied SQL string contains no statements": "SqlSyntax",
      "The statement has ended": "SqlSyntax",
      "Of the statement": "Unknown",
      "something else": "Unknown"
    }
    for (const [text, expected] of Object.entries(texts)) {
      for (const cause of [new TypeError(text), new RangeError(text)]) {
        expect(fields(cause), text).toMatchObject({
          _tag: "QueryError",
          reason: expected,
          outcome: "NotSent",
          what: text,
          advice: expected === "Parameter" ? "give one value for each ? of the statement" : undefined
        })
      }
    }
    expect(fields(Object.assign(new TypeError("bind"), { code: "ERR_X" }))).toMatchObject({ reason: "Parameter" })
  })

  it("but of a function that SQL called is the value's", () => {
    const cause = new FunctionError("Invalid regular expression")
    expect(fields(cause)).toMatchObject({
      reason: "DataError",
      outcome: "RolledBack",
      what: "Invalid regular expression",
      cause
    })
    expect(cause.name).toBe("FunctionError")
  })

  it("is unknown otherwise", () => {
    expect(fields(new Error("odd"))).toMatchObject({ reason: "Unknown", outcome: "Unknown", what: "odd" })
    expect(fields("words")).toMatchObject({ reason: "Unknown", outcome: "Unknown", what: "words" })
    expect(fields(thrown("EIO", "odd"))).toMatchObject({ reason: "Unknown", outcome: "Unknown" })
  })
})

describe("a fault", () => {
  it("has the outcome of its place, where that is known", () => {
    expect(classify(place, thrown("SQLITE_BUSY")).outcome).toBe("RolledBack")
    expect(classify({ ...place, outcome: "NotSent" }, thrown("SQLITE_BUSY")).outcome).toBe("NotSent")
    expect(classify(place, thrown("SQLITE_BUSY"))).toBeInstanceOf(Fault)
    expect(classify(place, thrown("SQLITE_BUSY")).place).toBe(place)
  })

  it("of a wait says how long it was, and for what", () => {
    const cause = thrown("SQLITE_BUSY")
    expect(lockTimeout(place, 300, cause).fields).toEqual({
      _tag: "TimeoutError",
      phase: "Lock",
      limitMillis: 300,
      outcome: "RolledBack",
      what: "the database file stayed locked by another connection for 300 ms",
      code: "SQLITE_BUSY",
      cause
    })
    expect(connectTimeout(place, 200, "the file was locked", cause).fields).toMatchObject({
      _tag: "TimeoutError",
      phase: "Connect",
      limitMillis: 200,
      outcome: "NotSent",
      what: "the file was locked for 200 ms",
      code: "SQLITE_BUSY",
      cause
    })
  })
})
