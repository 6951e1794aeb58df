import { describe, expect, it } from "vitest"
import { partsOf, read, readUnder } from "../../../src/internal/driver/mysql/script.js"

const usual = { backslash: true, ansiQuotes: false }
const texts = (text: string, reading = usual) => partsOf(text, reading)?.map((part) => part.text)
const counts = (text: string, reading = usual) => partsOf(text, reading)?.map((part) => part.placeholders)

describe("A text of several statements for MySQL", () => {
  it("ends a statement at a semicolon that is code", () => {
    expect(texts("SELECT 1;\n SELECT 2 ; ; \n")).toEqual(["SELECT 1", "SELECT 2"])
    expect(texts("SELECT ';' AS `a;b`, \";\" -- ;\n, 2 # ;\n /* ; */; SELECT 3")).toHaveLength(2)
    expect(texts("SELECT 'it''s; fine', 'it\\'s; fine', \"a\"\";\", `b``;`; SELECT 2")).toHaveLength(2)
    // Two dashes are a comment only with white space behind them.
    expect(texts("SELECT 5--3; SELECT 2")).toEqual(["SELECT 5--3", "SELECT 2"])
    expect(texts("SELECT 5--\t3; SELECT 2")).toHaveLength(1)
    expect(texts("-- only a comment; here\n")).toEqual([])
    expect(texts("SELECT 'never closed; SELECT 2")).toHaveLength(1)
  })

  it("counts the question marks that are code", () => {
    expect(counts("SELECT ?, '?', \"?\", `?`; SELECT ? + ? -- ?\n/* ? */ # ?")).toEqual([1, 2])
  })

  it("leaves stored programs and compound statements whole", () => {
    for (
      const text of [
        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
        "create or replace definer = `a`@`b` function f() returns int begin return 1; end",
        "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
        "IF 1 THEN SELECT 1; END IF",
        "x: LOOP LEAVE x; END LOOP"
      ]
    ) {
      expect(texts(text)).toEqual([text])
      expect(texts(`SELECT 1; ${text}`)).toEqual(["SELECT 1", text])
    }
    expect(texts("BEGIN; SELECT 1; COMMIT")).toHaveLength(3)
    expect(texts("CREATE TABLE procedures (a INT); SELECT 1")).toHaveLength(2)
  })

  it("does not guess what a comment hides that the server may run", () => {
    expect(texts("SELECT /*!50000 1 */; SELECT 2")).toEqual(["SELECT /*!50000 1 */", "SELECT 2"])
    expect(texts("SELECT /*! ? */; SELECT 2")).toBeUndefined()
    expect(texts("SELECT 1 /*M!100100 ; */; SELECT 2")).toBeUndefined()
  })

  it("asks for the mode only where a backslash in quotes depends on it", () => {
    expect(read("SELECT '\\n'; SELECT 2")).toMatchObject({ parts: [{}, {}] })
    expect(read("SELECT '\\'; SELECT ?")).toBe("by mode")
    expect(readUnder("SELECT '\\'; SELECT ?", "NO_BACKSLASH_ESCAPES")).toMatchObject({
      placeholders: 1,
      parts: [{}, {}]
    })
    expect(readUnder("SELECT '\\'; SELECT ?", "STRICT_TRANS_TABLES")).toMatchObject({ placeholders: 0, parts: [{}] })
    expect(read("SELECT 1 AS \"a\\\"; SELECT ?")).toBe("by mode")
    expect(readUnder("SELECT 1 AS \"a\\\"; SELECT ?", "ANSI_QUOTES")).toMatchObject({ placeholders: 1 })
    expect(readUnder("SET sql_mode = ''; SELECT '\\'", "")).toBeUndefined()
  })
})
