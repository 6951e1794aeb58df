/** The text of an insert of rows is kept, and is the one that the compiler builds. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Statement from "@effect/sql/Statement"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fc from "fast-check"
import { makeCompiler as compilerMssql } from "../../src/internal/driver/mssql/published.js"
import { makeCompiler as compilerMysql } from "../../src/internal/driver/mysql/published.js"
import { compiler as compilerPg, json } from "../../src/internal/driver/pg/compiler.js"
import { fakeDb } from "../kit/fakeDb.js"

type Row = Record<string, unknown>

const upper = (name: string) => name.toUpperCase()

/** The compilers of the drivers; the second ones change names. */
const compilers: ReadonlyArray<Statement.Compiler> = [undefined, upper].flatMap((transform) => [
  compilerPg(transform, true),
  compilerMysql(transform),
  Statement.makeCompilerSqlite(transform),
  compilerMssql(transform)
])

/** A client on the fake driver, and how often it has asked its compiler. */
const clientOf = (compiler: Statement.Compiler) =>
  Effect.gen(function*() {
    const asked = { count: 0 }
    const counted: Statement.Compiler = {
      dialect: compiler.dialect,
      compile: (...args) => {
        asked.count++
        return compiler.compile(...args)
      },
      withoutTransform: compiler.withoutTransform
    }
    const { control, layer } = yield* fakeDb({}, { overrides: { dialect: compiler.dialect, compiler: counted } })
    const context = yield* Layer.build(layer)
    return { asked, control, sql: Context.get(context, SqlClient.SqlClient) }
  })

const templateOf = (texts: ReadonlyArray<string>): TemplateStringsArray => Object.assign([...texts], { raw: texts })

/** What a statement is compiled to, or why it is not. */
const outcome = (statement: Statement.Statement<object>, isUntransformed: boolean): unknown => {
  try {
    return statement.compile(isUntransformed)
  } catch (error) {
    return String(error)
  }
}

const mark = Statement.custom<Statement.Custom<"MssqlParam", unknown, unknown>>("MssqlParam")

const plain = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, Number.NaN, -0, Symbol.iterator),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.string(),
  fc.date(),
  fc.uint8Array(),
  fc.constant(Buffer.from("bytes")),
  fc.array(fc.integer(), { maxLength: 2 }),
  fc.constant({ in: { an: "object" } }),
  fc.constant(() => "a function")
)

/** Pieces of SQL, some of which may stand where a value does. */
const piece = fc.constantFrom<(sql: SqlClient.SqlClient) => unknown>(
  () => json({ n: 1 }),
  () => mark("n", 1, undefined),
  (sql) => sql`${1}`,
  (sql) => sql`now()`,
  (sql) => sql("column"),
  (sql) => sql.in([1, 2]),
  (sql) => sql.insert({ other: 1 })
)

const most = <A, B>(often: fc.Arbitrary<A>, seldom: fc.Arbitrary<B>, weight = 9) =>
  fc.oneof({ weight, arbitrary: often }, { weight: 1, arbitrary: seldom })

type Value = { readonly value: unknown } | ((sql: SqlClient.SqlClient) => unknown)

const plainValue: fc.Arbitrary<Value> = plain.map((value) => ({ value }))

const given = (sql: SqlClient.SqlClient, value: Value): unknown =>
  typeof value === "function" ? value(sql) : value.value

type Returning = (sql: SqlClient.SqlClient) => string | Statement.Identifier | Statement.Fragment

/** Few columns and rows, so that shapes come again. */
const insert = fc.record({
  keys: most(
    fc.constantFrom<Array<string>>(["a"], ["a", "b"], ["b", "a"], ["createdAt", "x.y", "]\"`"]),
    fc.uniqueArray(fc.constantFrom<string>("a", "b", "1", "toString"), { maxLength: 3 })
  ),
  rows: most(fc.constantFrom(1, 2, 3, 20), fc.constant(0)),
  values: fc.infiniteStream(most(plainValue, piece, 99)),
  /** A row that has not all columns, or one more, or fails when it is read: another each time. */
  odds: fc.infiniteStream(most(fc.constant(undefined), fc.tuple(fc.nat(2), fc.constantFrom("less", "more", "fails")))),
  prototype: most(fc.constantFrom<object | null>(Object.prototype, null), fc.constant({ inherited: 1 })),
  returning: most(
    fc.constantFrom<Returning | undefined>(undefined, () => "*", () => "id"),
    fc.constantFrom<Returning>((sql) => sql("id"), (sql) => sql`id`, (sql) => sql`id + ${1}`)
  ),
  isUntransformed: fc.boolean()
})

type GivenInsert = typeof insert extends fc.Arbitrary<infer A> ? A : never

const fails = () => {
  throw new Error("this getter throws")
}

const helperOf = (
  sql: SqlClient.SqlClient,
  { keys, odds, prototype, returning, rows, values }: GivenInsert
): unknown => {
  const odd = odds.next().value
  const helper = sql.insert(Array.from({ length: rows }, (_, at) => {
    const row: Row = Object.create(prototype)
    for (const key of keys) row[key] = given(sql, values.next().value)
    const last = keys.at(-1) ?? "a"
    if (odd?.[0] === at) {
      if (odd[1] === "less") delete row[last]
      else if (odd[1] === "more") row["more"] = 1
      else Object.defineProperty(row, last, { get: fails, enumerable: true })
    }
    return row
  }))
  return returning === undefined ? helper : helper.returning(returning(sql))
}

const text = fc.constantFrom("", " ", "INSERT INTO t ", ", ", " ON CONFLICT DO NOTHING")

describe("the text of an insert of rows", () => {
  it.live("is the one that the compiler builds", () =>
    Effect.gen(function*() {
      const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
      console.log(`texts of inserts: DBLIVE_SEED=${seed}`)
      for (const compiler of compilers) {
        const { asked, sql } = yield* clientOf(compiler)
        let compiled = 0
        fc.assert(
          fc.property(
            fc.nat(2),
            fc.nat(2),
            fc.infiniteStream(most(plainValue, piece)),
            fc.infiniteStream(text),
            // More than are kept of a template.
            fc.array(insert, { minLength: 5, maxLength: 5 }),
            fc.array(fc.nat(4), { minLength: 4, maxLength: 20 }),
            (before, behind, around, texts, inserts, order) => {
              const template = templateOf([...texts.take(before + behind + 2)])
              for (const at of order) {
                const one = inserts[at]!
                const args = [
                  ...[...around.take(before)].map((value) => given(sql, value)),
                  helperOf(sql, one),
                  ...[...around.take(behind)].map((value) => given(sql, value))
                ]
                // One whose segments were asked for is compiled from them.
                const whole = sql(template, ...args)
                assert.isNotEmpty(whole.segments)
                const expected = outcome(whole, one.isUntransformed)
                assert.deepStrictEqual(outcome(sql(template, ...args), one.isUntransformed), expected)
                if (typeof expected !== "string") compiled++
              }
            }
          ),
          { seed, numRuns: 200 }
        )
        // Half of them ask, and of the others a part.
        assert.isBelow(asked.count, compiled * 1.8)
      }
    }).pipe(Effect.scoped))

  it.live("is built once for a shape", () =>
    Effect.gen(function*() {
      const { asked, control, sql } = yield* clientOf(compilerPg(upper, false))
      const save = (rows: ReadonlyArray<Row>, returning = "id") =>
        sql`WITH x AS (SELECT ${0}) INSERT INTO t ${
          sql.insert(rows).returning(returning)
        } ON CONFLICT (${"n"}) DO NOTHING`
      const rows = (count: number, n = 0) => Array.from({ length: count }, (_, i) => ({ n: n + i, v: undefined }))
      const text = "WITH x AS (SELECT $1) INSERT INTO t (\"N\",\"V\") VALUES ($2,$3),($4,$5) RETURNING id " +
        "ON CONFLICT ($6) DO NOTHING"
      for (let n = 0; n < 5; n++) {
        assert.deepStrictEqual(save(rows(2, n)).compile(), [text, [0, n, null, n + 1, null, "n"]])
      }
      assert.strictEqual(asked.count, 1)
      yield* save(rows(2))
      assert.deepStrictEqual(control.executed(), [text])
      assert.strictEqual(asked.count, 1)
      // What a row does not have is NULL.
      assert.deepStrictEqual(save([{ n: 1, v: 2 }, { n: 3 }]).compile()[1], [0, 1, 2, 3, null, "n"])
      assert.strictEqual(asked.count, 2)
      // Another shape is another text.
      const untransformed = text.replace("(\"N\",\"V\")", "(\"n\",\"v\")")
      assert.strictEqual(save(rows(2)).compile(true)[0], untransformed)
      const both = save(rows(2))
      assert.deepStrictEqual([both.compile()[0], both.compile(true)[0]], [text, untransformed])
      assert.strictEqual(save(rows(2), "n").compile()[0], text.replace("RETURNING id", "RETURNING n"))
      assert.include(save(rows(1)).compile()[0], "VALUES ($2,$3) RETURNING")
      assert.include(save([{ v: 1, n: 1 }, { v: 2, n: 2 }]).compile()[0], "(\"V\",\"N\")")
      assert.strictEqual(asked.count, 7)
    }).pipe(Effect.scoped))

  it.live("is kept for the last four shapes of a template", () =>
    Effect.gen(function*() {
      const { asked, sql } = yield* clientOf(Statement.makeCompilerSqlite())
      const builds = (...counts: ReadonlyArray<number>) => {
        const before = asked.count
        for (const length of counts) {
          void sql`INSERT INTO t ${sql.insert(Array.from({ length }, () => ({ n: 1 })))}`.compile()
        }
        return asked.count - before
      }
      assert.strictEqual(builds(1, 2, 3, 4), 4)
      assert.strictEqual(builds(4, 1, 3, 2, 1), 0)
      // The one that was used least recently makes room.
      assert.strictEqual(builds(5), 1)
      assert.strictEqual(builds(5, 1, 2, 3), 0)
      assert.strictEqual(builds(4), 1)
      const many = Array.from({ length: 100 }, (_, i) => i + 10)
      assert.strictEqual(builds(...many, ...many), 200)
    }).pipe(Effect.scoped))

  it.live("and its parameters stay those of the first time, whatever becomes of the rows", () =>
    Effect.gen(function*() {
      const { sql } = yield* clientOf(Statement.makeCompilerSqlite())
      const rows: Array<Row> = []
      const make = () => sql`INSERT INTO t ${sql.insert(rows)}`
      const seen = [make(), make()].map((statement) => {
        rows.splice(0, rows.length, { n: 1 }, { n: 2 })
        const first = statement.compile()
        rows[0]!["n"] = 3
        const second = statement.compile()
        rows.push({ n: 4 })
        return [first[1], second[1], statement.compile()[1]]
      })
      assert.deepStrictEqual(seen[0], [[1, 2], [1, 2], [1, 2]])
      assert.deepStrictEqual(seen[1], seen[0])
    }).pipe(Effect.scoped))

  it.live("is not kept where the compiler binds other values, or in another order", () =>
    Effect.gen(function*() {
      const compiler = Statement.makeCompiler({
        dialect: "pg",
        placeholder: (index) => `$${index}`,
        onIdentifier: (name) => name,
        onRecordUpdate: () => ["", []],
        onCustom: () => ["", []],
        onInsert: (columns, placeholders, values) => [
          `(${columns.join(",")}) VALUES ${placeholders}`,
          values.flat().reverse()
        ]
      })
      const { sql } = yield* clientOf(compiler)
      for (let n = 0; n < 3; n++) {
        assert.deepStrictEqual(sql`INSERT INTO t ${sql.insert([{ a: n, b: n + 1 }])}`.compile()[1], [n + 1, n])
      }
    }).pipe(Effect.scoped))
})
