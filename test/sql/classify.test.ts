/** What a text does, told by its tokens. */
import { describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { classify, controlOf, isControl, statementsOf } from "../../src/internal/sql/classify.js"
import { syntaxes } from "../../src/internal/sql/Syntax.js"

const dialects = ["pg", "sqlite", "mysql", "mssql"] as const

const controls = (text: string) => statementsOf(text, syntaxes.pg).map(({ tokens }) => controlOf(tokens))

describe("the classification of a text", () => {
  it("is several statements where a semicolon is code", () => {
    for (const dialect of dialects) {
      for (const text of ["SELECT 1; SELECT 2", ";;SELECT 1;;/* c */;SELECT 2", "BEGIN; COMMIT"]) {
        strictEqual(classify(text, dialect).several, true, text)
      }
      for (const text of ["SELECT ';a'", "SELECT 1; -- a", "SELECT 1 /* ;a */ ;\n ;", "SELECT \";a\"", "", ";"]) {
        strictEqual(classify(text, dialect).several, false, text)
      }
    }
  })

  it("may be several where the server's mode, or the server itself, decides", () => {
    strictEqual(classify("SELECT '\\'; SELECT 2", "mysql").several, true)
    strictEqual(classify("SELECT '\\'; SELECT 2", "pg").several, true)
    strictEqual(classify("SELECT 1 /*!50000 ; SELECT 2 */", "mysql").several, true)
    strictEqual(classify("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END", "mysql").several, true)
  })

  it("begins, ends or divides a transaction", () => {
    deepStrictEqual(
      controls(
        "BEGIN; begin /* c */ transaction; BEGIN ISOLATION LEVEL SERIALIZABLE; BEGIN NOT DEFERRABLE; START TRANSACTION"
      ),
      ["begin", "begin", "begin", "begin", "begin"]
    )
    deepStrictEqual(controls("COMMIT; END WORK; COMMIT AND CHAIN"), ["commit", "commit", "commit"])
    deepStrictEqual(controls("ROLLBACK; ABORT; ROLLBACK TRAN AND NO CHAIN"), ["rollback", "rollback", "rollback"])
    deepStrictEqual(
      controls("SAVEPOINT \"a\"; SAVE TRAN a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a; RELEASE \"a\""),
      ["savepoint", "savepoint", "savepoint", "savepoint", "savepoint"]
    )
    deepStrictEqual(controls("PREPARE TRANSACTION 'a'; COMMIT PREPARED 'a'; ROLLBACK TRANSACTION a"), [
      "prepare",
      "prepared",
      "named"
    ])
    for (const text of ["BEGIN NOT ATOMIC SELECT 1", "BEGIN SELECT 1 END", "PREPARE a AS SELECT 1", "SELECT commit"]) {
      deepStrictEqual(controls(text), [undefined], text)
    }
  })

  it("does so alone, or with the isolation level in front of it", () => {
    strictEqual(isControl("/* c */ COMMIT;", "pg"), true)
    strictEqual(isControl("RELEASE \"a\"", "pg"), true)
    strictEqual(isControl("COMMIT; SELECT 1", "pg"), false)
    strictEqual(isControl("COMMIT PREPARED 'a'", "pg"), false)
    for (const text of ["XA START 'a'", "xa begin 'a', 'b' JOIN", "/* c */ XA END 'a';", "XA PREPARE 'a'"]) {
      strictEqual(isControl(text, "mysql"), true, text)
      strictEqual(isControl(text, "pg"), false, text)
    }
    // They end one that another connection has prepared.
    for (const text of ["XA COMMIT 'a'", "XA ROLLBACK 'a'", "XA RECOVER", "xa_start()"]) {
      strictEqual(isControl(text, "mysql"), false, text)
    }
    const begin = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION"
    strictEqual(classify(begin, "mysql").control, "begin")
    strictEqual(isControl(begin, "mysql"), false)
  })

  it("ends the transaction that is open", () => {
    deepStrictEqual(classify("SELECT 1; COMMIT", "pg").end, { how: "commit", beside: true })
    deepStrictEqual(classify("ROLLBACK AND CHAIN", "pg").end, { how: "rollback", beside: false })
    deepStrictEqual(classify("START TRANSACTION", "mysql").end, { how: "commit", beside: false })
    for (
      const text of [
        "START TRANSACTION",
        "ROLLBACK TO a",
        "ROLLBACK TRANSACTION [a]",
        "SELECT 'x; COMMIT'",
        "CREATE PROCEDURE p AS BEGIN SELECT 1; COMMIT; END"
      ]
    ) {
      strictEqual(classify(text, "mssql").end, undefined, text)
    }
  })

  it("leaves a transaction open that it began", () => {
    strictEqual(classify("BEGIN; INSERT INTO t VALUES (1)", "pg").beginsFirst, true)
    strictEqual(classify("BEGIN; SELECT 1; COMMIT; BEGIN", "pg").beginsFirst, false)
    strictEqual(classify("SELECT 1; BEGIN", "pg").beginsFirst, false)
  })
})
