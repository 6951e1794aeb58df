/** The lexer that every reader of SQL stands on. */
import { describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as fc from "fast-check"
import { Lexer } from "../../src/internal/sql/Lexer.js"
import { type Syntax, syntaxes } from "../../src/internal/sql/Syntax.js"

type Dialect = "pg" | "sqlite" | "mysql" | "mssql"

const dialects: ReadonlyArray<Dialect> = ["pg", "sqlite", "mysql", "mssql"]

type Token = readonly [kind: string, text: string]

const tokens = (text: string, syntax: Syntax): ReadonlyArray<Token> => {
  const lexer = new Lexer(syntax, text)
  const all: Array<Token> = []
  while (lexer.next()) all.push([lexer.kind, lexer.token])
  return all
}

/** The tokens of a text that arrives in pieces, and what is cut off behind each; pieces of a token are put together. */
const pieces = (text: string, syntax: Syntax, size: number): ReadonlyArray<Token> => {
  const lexer = new Lexer(syntax, "", false)
  const all: Array<Token> = []
  for (let i = 0; i < text.length || !lexer.isFinal; i += size) {
    lexer.text = lexer.text.slice(lexer.at) + text.slice(i, i + size)
    lexer.at = 0
    lexer.isFinal = i + size >= text.length
    while (lexer.next()) {
      const last = all.at(-1)
      if (lexer.isRest || (lexer.kind === "space" && last?.[0] === "space")) {
        all[all.length - 1] = [lexer.kind, last![1] + lexer.token]
      } else {
        all.push([lexer.kind, lexer.token])
      }
    }
  }
  return all
}

const common: ReadonlyArray<Token> = [
  ["word", "select"],
  ["word", "größe"],
  ["word", "a$b"],
  ["number", "12"],
  ["string", "'x;''y -- /*'"],
  ["string", "''"],
  ["string", "'\n'"],
  ["comment", "/* ; ' \" $$ */"],
  ["delimiter", ";"],
  ["sign", "("],
  ["sign", ","],
  ["sign", "-"],
  ["sign", ":"]
]

const own: Readonly<Record<Dialect, ReadonlyArray<Token>>> = {
  pg: [
    ["string", "E'\\';\\\\'"],
    ["string", "B'01'"],
    ["string", "'\\'"],
    ["string", "$$ ; ' $a$ $$"],
    ["string", "$t$ $$ ; $ü$ $t$"],
    ["name", "\"a;\"\"b\\\""],
    ["parameter", "$1"],
    ["comment", "/* /* */ ' */"],
    ["sign", "["],
    ["sign", "`"],
    ["sign", "#"],
    ["sign", "?"],
    ["sign", "@"]
  ],
  sqlite: [
    ["name", "\"a;\"\"b\\\""],
    ["name", "`a;``b`"],
    ["name", "[a;'b]"],
    ["string", "'\\'"],
    ["string", "x'00'"],
    ["parameter", "?"],
    ["parameter", "?12"],
    ["parameter", "$a"],
    ["sign", "@"],
    ["comment", "/* /* */"]
  ],
  mysql: [
    ["string", "\"a;\"\"b\\\"'\""],
    ["string", "'\\';'"],
    ["string", "N'a'"],
    ["name", "`a;``b\\`"],
    ["parameter", "?"],
    ["comment", "/*!40101 ; ' */"],
    ["comment", "/* /* */"],
    ["comment", "#'"],
    ["comment", "-- '"],
    ["sign", "["],
    ["sign", "$"],
    ["sign", "@"]
  ],
  mssql: [
    ["name", "\"a;\"\"b\\\""],
    ["name", "[a]];'b]"],
    ["string", "N'\\'"],
    ["word", "@a"],
    ["word", "@@rowcount"],
    ["word", "##t"],
    ["word", "a#@b"],
    ["comment", "/* /* */ ' */"],
    ["sign", "?"],
    ["sign", "`"]
  ]
}

const lineComment = (dialect: Dialect): fc.Arbitrary<Token> =>
  fc.constantFrom(...["-- '\" $$ /*", "-- ", ...dialect === "mysql" ? ["# ;"] : ["--;"]]).map((text) =>
    ["comment", text] as const
  )

/** Tokens with what has to stand between them, so that each is one: white space, which a line comment ends with a line. */
const made = (dialect: Dialect): fc.Arbitrary<ReadonlyArray<Token>> =>
  fc.array(
    fc.tuple(
      fc.oneof(fc.constantFrom(...common, ...own[dialect]), lineComment(dialect)),
      fc.constantFrom("\n", "\n ", "\n\t\r\n")
    ),
    { maxLength: 12 }
  ).map((parts) =>
    parts.flatMap(([token, space]): Array<Token> =>
      // A string with the prefix E would go on with a string in the next line.
      token[1].startsWith("E") ? [token, ["sign", ","], ["space", space]] : [token, ["space", space]]
    )
  )

const soup = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...Object.values(own).flatMap((some) => some.map(([, text]) => text)),
      ..."'\"`[]$\\/*-#@!?;:.eEnN01_ \n\r".split(""),
      "/*!",
      "/*M!",
      "*/",
      "--",
      "$$",
      "$a$",
      "''",
      "E'",
      "\u00a0",
      "\ufeff",
      "😀"
    ),
    fc.string({ unit: "binary", maxLength: 3 })
  ),
  { maxLength: 30 }
).map((parts) => parts.join(""))

describe("the lexer", () => {
  for (const dialect of dialects) {
    const syntax = syntaxes[dialect]

    it(`${dialect}: each of its tokens is found as what it is`, () => {
      for (const token of [...common, ...own[dialect]]) {
        deepStrictEqual(tokens(token[1], syntax), [token])
      }
    })

    it(`${dialect}: each of its tokens is found between any others`, () => {
      fc.assert(
        fc.property(made(dialect), (made) => {
          deepStrictEqual(tokens(made.map(([, text]) => text).join(""), syntax), made)
        }),
        { numRuns: 500 }
      )
    })

    for (const file of [false, true]) {
      const rules = { ...syntax, file }

      it(`${dialect}${file ? " in a file" : ""}: tokens cover any text without a gap, and none is empty`, () => {
        fc.assert(
          fc.property(soup, (text) => {
            const found = tokens(text, rules)
            strictEqual(found.map(([, token]) => token).join(""), text)
            strictEqual(found.every(([, token]) => token !== ""), true)
          }),
          { numRuns: 1000 }
        )
      })

      it(`${dialect}${file ? " in a file" : ""}: any text gives the same tokens however it is cut`, () => {
        fc.assert(
          fc.property(soup, fc.integer({ min: 1, max: 5 }), (text, size) => {
            deepStrictEqual(pieces(text, rules, size), tokens(text, rules))
          }),
          { numRuns: 1000 }
        )
      })
    }

    it(`${dialect}: a comment ${syntax.nestedComments ? "holds others" : "ends at the first mark"}`, () => {
      const nested: fc.Arbitrary<string> = fc.letrec<{ comment: string }>((tie) => ({
        comment: fc.array(fc.oneof({ depthSize: "small" }, fc.constantFrom("a", " ", "'", ";", "\n"), tie("comment")), {
          maxLength: 4
        }).map((parts) => `/*${parts.join("")}*/`)
      })).comment
      fc.assert(fc.property(nested, (text) => {
        const [first] = tokens(text, syntax)
        deepStrictEqual(first, ["comment", syntax.nestedComments ? text : text.slice(0, text.indexOf("*/", 2) + 2)])
      }))
    })

    it(`${dialect}: what is never closed reaches the end, and says so`, () => {
      for (const text of ["'a", "\"a", "/* a", ...dialect === "pg" ? ["$$ a", "E'\\'"] : []]) {
        const lexer = new Lexer(syntax, text)
        lexer.next()
        deepStrictEqual([lexer.at, lexer.isOpen, lexer.next()], [text.length, true, false])
      }
    })
  }

  it("a string of PostgreSQL with the prefix E escapes in its further lines, and only there", () => {
    const strings = (text: string) =>
      tokens(text, syntaxes.pg).filter(([kind]) => kind === "string").map(([, one]) => one)
    deepStrictEqual(strings("E'a'\n'\\'b' 'c\\'"), ["E'a'", "'\\'b'", "'c\\'"])
    deepStrictEqual(strings("E'a' -- c\n '\\'b'"), ["E'a'", "'\\'b'"])
    deepStrictEqual(strings("E'a' '\\'"), ["E'a'", "'\\'"])
    deepStrictEqual(strings("E'a',\n'\\'"), ["E'a'", "'\\'"])
  })

  it("dollar quotes stand side by side, and none stands in a word", () => {
    deepStrictEqual(tokens("$$a$$$b$;$b$", syntaxes.pg), [["string", "$$a$$"], ["string", "$b$;$b$"]])
    deepStrictEqual(tokens("a$$;$$", syntaxes.pg), [["word", "a$$"], ["delimiter", ";"], ["string", "$$"]])
  })

  it("code for some servers of MySQL is code in a file, and a comment elsewhere", () => {
    const code = (syntax: Syntax) =>
      tokens("/*!40101 SET a*/", syntax).filter(([kind]) => kind !== "comment").map(([, text]) => text).join("")
    deepStrictEqual(code(syntaxes.mysql), "")
    deepStrictEqual(code({ ...syntaxes.mysql, file: true }), "40101 SET a")
  })
})
