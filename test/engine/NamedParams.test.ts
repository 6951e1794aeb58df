import { describe, it } from "@effect/vitest"
import { assertLeft, assertRight, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as fc from "fast-check"
import * as NamedParams from "../../src/internal/sql/NamedParams.js"

type Dialect = "pg" | "sqlite" | "mysql" | "mssql"

const dialects: ReadonlyArray<Dialect> = ["pg", "sqlite", "mysql", "mssql"]

const params = { a: 1, b: 2, name: "n" }

const names = (text: string, dialect: Dialect) => NamedParams.parse(text, dialect).names

/** With the strings in the next lines, which go on in the same way. */
const escapeString =
  /^[eE]'(\\[^]|''|[^'\\])*(\\?$|'(([ ]|--.*(?=\n|$))*\n([ \n]|--.*(?=\n|$))*'(\\[^]|''|[^'\\])*(\\?$|'))*)/

/** Finds names by trying, at every place, one pattern after the other. Slow, and written apart from the scanner. */
const slowNames = (text: string, dialect: Dialect): ReadonlyArray<string> => {
  const nested = (rest: string): number => {
    let length = 2
    for (let depth = 1; depth > 0;) {
      if (length >= rest.length) {
        return rest.length
      }
      const two = rest.slice(length, length + 2)
      depth += two === "/*" ? 1 : two === "*/" ? -1 : 0
      length += two === "/*" || two === "*/" ? 2 : 1
    }
    return length
  }
  const patterns: ReadonlyArray<RegExp> = [
    dialect === "mysql" ? /^'(\\[^]|''|[^'\\])*(\\?$|')/ : /^'(''|[^'])*($|')/,
    dialect === "mysql" ? /^"(\\[^]|""|[^"\\])*(\\?$|")/ : /^"(""|[^"])*($|")/,
    ...dialect === "mysql" ? [/^#.*(\n|$)/, /^--(?=[\s]|$).*(\n|$)/] : [/^--.*(\n|$)/],
    ...dialect === "mysql" || dialect === "sqlite" ? [/^`(``|[^`])*($|`)/, /^\/\*[^]*?(\*\/|$)/] : [],
    ...dialect === "mssql" ? [/^\[(\]\]|[^\]])*($|\])/] : dialect === "sqlite" ? [/^\[[^\]]*($|\])/] : []
  ]
  const found: Array<string> = []
  let before = ""
  let rest = text
  let afterDollars = false
  while (rest !== "") {
    let length = 0
    const wordBefore = /[\w$]$/.test(before)
    const escaped = dialect === "pg" && !wordBefore ? escapeString.exec(rest) : null
    const dollar: RegExpExecArray | null = dialect === "pg" && (!wordBefore || afterDollars)
      ? /^(\$([A-Za-z_]\w*)?\$)[^]*?(\1|$)/.exec(rest)
      : null
    const name = /[\w$:)\]'"`]$/.test(before) ? null : /^:([A-Za-z_]\w*)/.exec(rest)
    if (rest.startsWith("/*") && (dialect === "pg" || dialect === "mssql")) {
      length = nested(rest)
    } else if (escaped !== null) {
      length = escaped[0].length
    } else if (dollar !== null) {
      length = dollar[0].length
    } else if (name !== null) {
      found.push(name[1]!)
      length = name[0].length
    } else {
      length = patterns.map((pattern) => pattern.exec(rest)?.[0].length ?? 0).find((length) => length > 0) ?? 1
    }
    afterDollars = length > 0 && length === dollar?.[0].length
    before += rest.slice(0, length)
    rest = rest.slice(length)
  }
  return found
}

describe("NamedParams", () => {
  describe("placeholders", () => {
    it("a name used twice has one number where placeholders are numbered, and two values where not", () => {
      const text = "SELECT :a, :b, :a"
      const given = { a: 1, b: 2 }
      assertRight(NamedParams.compile(text, given, "pg"), ["SELECT $1, $2, $1", [1, 2]])
      assertRight(NamedParams.compile(text, given, "mssql"), ["SELECT @1, @2, @1", [1, 2]])
      assertRight(NamedParams.compile(text, given, "sqlite"), ["SELECT ?, ?, ?", [1, 2, 1]])
      assertRight(NamedParams.compile(text, given, "mysql"), ["SELECT ?, ?, ?", [1, 2, 1]])
    })

    it("takes a name without any values for a mistake, and what only looks like one for what it is", () => {
      for (const dialect of dialects) {
        assertLeft(NamedParams.compile("SELECT :x, :y", undefined, dialect), "no value is given for :x, :y")
        assertRight(NamedParams.compile("SELECT ':x' -- :y", undefined, dialect), ["SELECT ':x' -- :y", []])
      }
      for (const text of ["SELECT a[1:x], a[:n], '1'::int, b[i : j]", "SELECT $$ :x $$, '{\"a\": 1}'::jsonb -> 'a'"]) {
        assertRight(NamedParams.compile(text, undefined, "pg"), [text, []])
      }
      assertLeft(NamedParams.compile("SELECT a[:n], :x", undefined, "pg"), "no value is given for :x")
      assertRight(NamedParams.compile("SELECT @a := 1", undefined, "mysql"), ["SELECT @a := 1", []])
    })

    it("text and values given by position stay as they are", () => {
      for (const dialect of dialects) {
        assertRight(NamedParams.compile("SELECT ?, ':a', :a", [1, 2], dialect), ["SELECT ?, ':a', :a", [1, 2]])
      }
    })

    it("values are passed on as they are, also null and undefined", () => {
      assertRight(NamedParams.compile(":a :b", { a: null, b: undefined }, "pg"), ["$1 $2", [null, undefined]])
    })
  })

  describe("what is left alone, in every dialect", () => {
    for (
      const text of [
        "SELECT 'it''s :a'",
        "SELECT \"x\"\":a\"",
        "SELECT x -- :a\n, 1",
        "SELECT /* :a */ 1",
        "SELECT x::text, x::a",
        "SELECT 12:30, x := 1, a: b, ':'",
        "SELECT :1, : a",
        "SELECT f[1:2], f[i:j], f[g(x):h], 'x':a",
        "SELECT ':a",
        "SELECT /* :a",
        "SELECT 1 -- :a"
      ]
    ) {
      it(JSON.stringify(text), () => {
        for (const dialect of dialects) {
          deepStrictEqual(names(text, dialect), [], dialect)
          strictEqual(NamedParams.parse(text, dialect).sql, text)
        }
      })
    }
  })

  describe("what depends on the dialect", () => {
    const cases: ReadonlyArray<readonly [text: string, found: Partial<Record<Dialect, ReadonlyArray<string>>>]> = [
      ["SELECT E'\\':a' :b", { pg: ["b"] }],
      ["SELECT '\\' :a' ' :b", { pg: ["a", "b"], sqlite: ["a", "b"], mssql: ["a", "b"], mysql: [] }],
      ["SELECT like'\\' :a", { pg: ["a"] }],
      ["SELECT $$ :a $$ :b", { pg: ["b"], sqlite: ["a", "b"] }],
      ["SELECT $t$ $$ :a $x$ :a $t$ :b", { pg: ["b"] }],
      ["SELECT a$t$ :a", { pg: ["a"] }],
      ["SELECT $a$ x $a$$$ :a $$ :b", { pg: ["b"] }],
      ["SELECT E'x'\n'\\' :a' :b", { pg: ["b"] }],
      ["SELECT $1 $2 :b", { pg: ["b"] }],
      ["SELECT /* /* */ :a */ :b", { pg: ["b"], mssql: ["b"], sqlite: ["a", "b"], mysql: ["a", "b"] }],
      ["SELECT # :a\n :b", { mysql: ["b"], pg: ["a", "b"], sqlite: ["a", "b"] }],
      ["SELECT 5--:a\n :b", { mysql: ["a", "b"], pg: ["b"], sqlite: ["b"], mssql: ["b"] }],
      ["SELECT `:a` :b", { mysql: ["b"], sqlite: ["b"] }],
      ["SELECT [:a] :b", { mssql: ["b"], sqlite: ["b"], pg: ["a", "b"] }],
      ["SELECT [x]]:a] :b", { mssql: ["b"] }],
      ["SELECT [x]] :a", { sqlite: ["a"], mssql: [] }],
      ["SELECT f[:a : :b]", { pg: ["a", "b"] }],
      ["SELECT @v:=1, :a", { mysql: ["a"] }],
      ["SELECT :größe, (:a), :a::int, :a||:b,:name", { pg: ["größe", "a", "a", "a", "b", "name"] }]
    ]
    for (const [text, expected] of cases) {
      it(JSON.stringify(text), () => {
        for (const [dialect, found] of Object.entries(expected)) {
          deepStrictEqual(names(text, dialect as Dialect), found, dialect)
        }
      })
    }
  })

  describe("problems name the parameters and never a value", () => {
    it("a missing one", () => {
      assertLeft(NamedParams.compile("SELECT :a, :b, :b", { a: "secret" }, "pg"), "no value is given for :b")
    })

    it("an unknown one", () => {
      assertLeft(
        NamedParams.compile("SELECT :a", { a: 1, c: "secret" }, "pg"),
        "the statement has no parameter :c (it has :a)"
      )
      assertLeft(NamedParams.compile("SELECT 1", { c: 1 }, "pg"), "the statement has no parameter :c (it has none)")
    })

    it("both at once", () => {
      assertLeft(
        NamedParams.compile("SELECT :a", { c: 1 }, "pg"),
        "no value is given for :a; the statement has no parameter :c (it has :a)"
      )
    })

    it("names that every object has are not given", () => {
      assertLeft(NamedParams.compile("SELECT :constructor", {}, "pg"), "no value is given for :constructor")
      assertLeft(NamedParams.compile("SELECT :__proto__", {}, "pg"), "no value is given for :__proto__")
    })

    it("names beside the dialect's own placeholders", () => {
      for (
        const [text, dialect, own] of [
          ["SELECT $2, :a", "pg", "$2"],
          ["SELECT ?, :a", "mysql", "?"],
          ["SELECT :a, ?3", "sqlite", "?3"],
          ["SELECT :a, @1", "mssql", "@1"]
        ] as const
      ) {
        assertLeft(
          NamedParams.compile(text, { a: 1 }, dialect),
          `the statement has ${own} beside :a; use one of the two ways`
        )
      }
      // In a string, and in another dialect, they are text.
      assertRight(NamedParams.compile("SELECT '$1', j ? 'x', :a", { a: 1 }, "pg"), ["SELECT '$1', j ? 'x', $1", [1]])
    })
  })

  const soup = fc.array(
    fc.constantFrom(
      ..."':\"`[]$\\/*-#(),;=?@ \n1ae_".split(""),
      ":a",
      ":b",
      "::",
      "--",
      "-- ",
      "/*",
      "*/",
      "$$",
      "$a$",
      "''",
      "E'",
      "\\'",
      "x:",
      ":=",
      "]]",
      "12:30"
    ),
    { maxLength: 30 }
  ).map((parts) => parts.join(""))

  for (const dialect of dialects) {
    it(`${dialect}: any text gives what the slow reference gives, and loses nothing`, () => {
      fc.assert(
        fc.property(soup, (text) => {
          const parsed = NamedParams.parse(text, dialect)
          deepStrictEqual(parsed.names, slowNames(text, dialect))
          strictEqual(
            parsed.texts.map((part, i) => i < parsed.names.length ? `${part}:${parsed.names[i]}` : part).join(""),
            text
          )
        }),
        { numRuns: 5000 }
      )
    })
  }

  it("the placeholders of a compiled text stand for the values of their names", () => {
    const part = fc.oneof(
      fc.constantFrom("a" as const, "b" as const, "name" as const).map((name) => ({ name, text: `:${name}` })),
      fc.constantFrom("x", "'q :a'", "/* :b */", "y::int", "1").map((text) => ({ name: undefined, text }))
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.constantFrom(...dialects), (parts, dialect) => {
        const used: ReadonlySet<string> = new Set(parts.flatMap(({ name }) => name === undefined ? [] : [name]))
        const given = Object.fromEntries(Object.entries(params).filter(([name]) => used.has(name)))
        const compiled = NamedParams.compile(parts.map(({ text }) => text).join(" "), given, dialect)
        if (compiled._tag === "Left") {
          throw new Error(compiled.left)
        }
        const [sql, values] = compiled.right
        let next = 0
        const words = sql === "" ? [] : sql.match(/'[^']*'|\/\*.*?\*\/|\S+/g) ?? []
        const back = words.map((word) =>
          word === "?" ? values[next++] : /^[$@]\d+$/.test(word) ? values[Number(word.slice(1)) - 1] : word
        )
        deepStrictEqual(back, parts.map(({ name, text }) => name === undefined ? text : params[name]))
      })
    )
  })

  it("a list in a second pair of parentheses is refused where it would become JSON, or fail", () => {
    for (const dialect of ["mysql", "mssql", "sqlite"] as const) {
      const problem = "write IN (:ids) for the list :ids"
      assertLeft(NamedParams.compile("n IN ((:ids))", { ids: [1, 2] }, dialect), problem)
      assertLeft(NamedParams.compile("n IN (/* all */ ( :ids ))", { ids: [1, 2] }, dialect), problem)
      assertRight(NamedParams.compile("n IN ((:id))", { id: 1 }, dialect), [
        dialect === "mssql" ? "n IN ((@1))" : "n IN ((?))",
        [1]
      ])
    }
    // Rows, and arrays of PostgreSQL, are values.
    assertRight(NamedParams.compile("(a, b) IN ((:x, :y))", { x: [1], y: 2 }, "mysql"), ["(a, b) IN ((?, ?))", [
      [1],
      2
    ]])
    assertRight(NamedParams.compile("a IN ((:x))", { x: [1] }, "pg"), ["a IN (($1))", [[1]]])
  })

  it("a huge text is read in one go", () => {
    const text = `SELECT '${"x".repeat(5_000_000)}' || :a || '${"''".repeat(1_000_000)}' || :b`
    deepStrictEqual(names(text, "pg"), ["a", "b"])
  })
})
