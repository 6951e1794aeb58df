/** What is said of files, names and comments, and what is made of them. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as DbTest from "../../src/DbTest.js"
import { packageFolder } from "../kit/packages.js"
import { checkIn, fields, type Files, problems, project, report } from "./kit.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const migrations = DbMigrator.fromRecord({
  V1__note: "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL, tag TEXT)"
})
const database = DbTest.sqlite({ migrations })

const says = (files: Files, lines: ReadonlyArray<unknown>) =>
  Effect.map(Effect.provide(problems(files), database), (found) => expect(found).toEqual(lines))

describe("a check", () => {
  it.effect("tells all that is wrong at once, by file and line", () =>
    says({
      "queries/a.sql": "-- name: find :one\nSELECT bdy FROM note;\n-- name: all\nSELECT id\nFROM nte;",
      "queries/b/c.sql": "SELECT 1 AS n; SELECT 2 AS n",
      "queries/class.sql": "SELECT 1 AS n",
      "queries/d.sql": "-- only a comment",
      "queries/e.sql": "SELECT 1 AS n;\n-- name: later :option\nSELECT 2 AS n",
      "queries/f.sql":
        "-- name: wrong :first\nSELECT 1;\n-- name:\nSELECT 1;\n-- name: delete\nSELECT 1;\n-- name: empty :one\n",
      "queries/g.sql": "-- name: silent :one\nUPDATE note SET body = 'x'",
      "queries/h.sql": "SELECT 'open"
    }, [
      "queries/a.sql:2: find: no such column: bdy (UndefinedObject, SQLITE_ERROR)",
      "queries/a.sql:4: all: no such table: nte (UndefinedObject, SQLITE_ERROR)",
      "queries/b/c.sql:1: bC: this is a second statement: write -- name: findUser :one before each, or each into a file of its own",
      "queries/class.sql:1: the file's name makes \"class\", which cannot be the name of a function",
      "queries/d.sql:1: d: there is no statement",
      "queries/e.sql:1: this statement has no name: write -- name: findUser :one before it",
      "queries/f.sql:1: \":first\" is no kind of statement: there are :one, :option, :many, :execute",
      "queries/f.sql:3: \"-- name:\" names no statement: write -- name: findUser :one",
      "queries/f.sql:5: \"delete\" cannot be the name of a function",
      "queries/f.sql:7: empty: there is no statement",
      "queries/g.sql:2: silent: the statement gives no rows, which :one is to give: write :execute",
      "queries/h.sql:1: h: this string is never closed"
    ]))

  it.effect("tells what is wrong with comments", () =>
    says({
      "queries/a.sql":
        "-- :id\n-- :id {\n-- :no string\n-- @nulable body\n-- @author me\n-- @nullable\n-- @type body\n" +
        "-- @notNull missing\nSELECT body FROM note WHERE id = :id"
    }, [
      "queries/a.sql:1: a: \"-- :id\" says no type: write -- :id string, or one of :one, :option, :many, :execute",
      "queries/a.sql:2: a: \"{\" is no type of TypeScript that ends in this line",
      "queries/a.sql:3: a: the statement has no parameter :no (it has :id)",
      "queries/a.sql:4: a: \"-- @nulable\" is not known; is \"@nullable\" meant?",
      "queries/a.sql:5: a: \"-- @author\" is not known: there are @nullable, @notNull, @type",
      "queries/a.sql:6: a: \"-- @nullable\" names no column",
      "queries/a.sql:7: a: \"-- @type\" takes a column and its type: -- @type tags string[]",
      "queries/a.sql:8: a: the statement gives no column \"missing\" (it gives body)"
    ]))

  it.effect("refuses two statements of one name, and a folder of none", () =>
    Effect.zipRight(
      says({ "queries/find-note.sql": "SELECT 1 AS n", "queries/x.sql": "-- name: FindNote\nSELECT 1 AS n" }, [
        "queries/x.sql:2: findNote: the name stands already in queries/find-note.sql:1"
      ]),
      says({ "queries/readme.md": "" }, ["queries:1: no .sql file was found: nothing is checked"])
    ))

  it.effect("reads lines that end with CRLF, a byte order mark, and names in strings and comments", () =>
    Effect.gen(function*() {
      expect(
        yield* problems({
          "queries/a.sql":
            "\ufeff-- name: first\r\nSELECT '-- name: no'\r\n AS n /* -- name: no */;\r\n\r\n-- name: second\r\nSELECT\r\n  bdy FROM note"
        })
      ).toEqual(["queries/a.sql:6: second: no such column: bdy (UndefinedObject, SQLITE_ERROR)"])
      const files = (end: string) => ({ "queries/a.sql": `SELECT id,${end}  body FROM note` })
      expect((yield* report(files("\r\n"))).output?.text).toBe((yield* report(files("\n"))).output?.text)
    }).pipe(Effect.provide(database)))

  it.effect("checks what the sources read by Db.sqlFile", () =>
    Effect.gen(function*() {
      const files = {
        "queries/a.sql": "SELECT id FROM note",
        "sql/report.sql": "SELECT bdy FROM note",
        "src/one.ts":
          "// Db.sqlFile(\"no.sql\")\nDb.sqlFile('queries/a.sql')\n/**\n * Db.sqlFile(\"no.sql\")\n */\nDb.sqlFile(`sql/report.sql`)",
        "src/two.ts": "Db.sqlFile(\n  \"missing.sql\"\n)\nDb.sqlFile(path)",
        "src/types.d.ts": "Db.sqlFile(\"no.sql\")"
      }
      const { problems, warnings } = yield* report(files)
      expect(problems).toEqual([
        expect.objectContaining({ file: "sql/report.sql", line: 1, name: "sqlReport" }),
        { file: "src/two.ts", line: 1, message: "there is no file missing.sql (paths begin at the project's root)" }
      ])
      expect(warnings).toEqual([
        { file: "src/two.ts", line: 4, message: "not checked: the path of this file is no literal" }
      ])
      expect(
        yield* fields({ ...files, "sql/report.sql": "SELECT body FROM note WHERE id = :id", "src/two.ts": "" })
      ).toEqual({ "ARow.id": "number", "SqlReportRow.body": "string", "SqlReportParams.id": "number | bigint" })
    }).pipe(Effect.provide(database)))

  it.effect("fails with its problems as a test, and says when the file of functions is out of date", () =>
    Effect.gen(function*() {
      const folder = yield* project({ "queries/a.sql": "SELECT id FROM note" })
      const stale = yield* Effect.flip(DbTest.check({ root: folder }))
      expect(stale).toMatchObject({
        _tag: "CheckError",
        message: expect.stringMatching(/^queries\.ts:1: is not what .* make/)
      })
      const { output } = yield* checkIn(folder)
      fs.writeFileSync(path.join(folder, "queries.ts"), output!.text.replaceAll("\n", "\r\n"))
      expect((yield* DbTest.check({ root: folder })).statements).toEqual([{
        name: "a",
        file: "queries/a.sql",
        line: 1
      }])
      yield* Db.query("ALTER TABLE note RENAME COLUMN id TO number")
      const broken = yield* Effect.flip(DbTest.check({ root: folder }))
      expect(broken.message).toBe("queries/a.sql:1: a: no such column: id (UndefinedObject, SQLITE_ERROR)")
      yield* Db.query("ALTER TABLE note RENAME COLUMN number TO id")
      expect((yield* DbTest.check({ root: folder, out: false })).problems).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(database)))

  it.effect("is refused by a driver that cannot describe a statement", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(DbTest.check({ root }))).toMatchObject({
        _tag: "ConnectionError",
        reason: "Unsupported"
      })
    }).pipe(Effect.provide(DbTest.mock([]))))
})

const everything: Files = {
  "queries/users/find-by.sql":
    "-- Finds a note.\n-- */ is no end.\n-- :option\nSELECT id, body AS \"the body\", tag FROM note WHERE id = :id",
  "queries/b.sql":
    "-- name: all\nSELECT id,\n  '`${x}\\' AS text\nFROM note;\n-- name: some\nSELECT id FROM note WHERE id IN (:ids) AND tag = :tag + 1;\n" +
    "-- name: add :execute\nINSERT INTO note (body, tag) VALUES (:body, :tag);\n-- name: one :one\nSELECT count(*) AS n FROM note",
  "sql/x.sql": "SELECT body FROM note WHERE id = :id",
  "src/x.ts": "Db.sqlFile(\"sql/x.sql\")"
}

/** What the compiler says of a file of functions in a project of its own. */
const compile = (folder: string): ReadonlyArray<string> => {
  const compiled = ts.createProgram([path.join(folder, "queries.ts"), path.join(folder, "use.ts")], {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUnusedLocals: true,
    noEmit: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    typeRoots: [path.dirname(packageFolder("@types/node"))],
    types: ["node"],
    paths: {
      dblive: [path.join(root, "src/index.ts")],
      "dblive/Db": [path.join(root, "src/Db.ts")]
    }
  })
  return ts.getPreEmitDiagnostics(compiled).map(({ file, messageText }) =>
    `${file === undefined ? "" : path.basename(file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
  )
}

describe("the file of functions", () => {
  it.effect("is the same for the same statements, sorted by their names", () =>
    Effect.gen(function*() {
      const { output } = yield* report(everything)
      expect(output?.text).toBe((yield* report(everything)).output?.text)
      expect([...output!.text.matchAll(/^export const (\w+)/gm)].map(([, name]) => name)).toEqual([
        "add",
        "all",
        "one",
        "some",
        "usersFindBy"
      ])
      expect(output?.text).toContain(`/**
 * Finds a note.
 * * / is no end.
 *
 * The statement of \`queries/users/find-by.sql\`.
 */
export const usersFindBy = (params: UsersFindByParams) =>
  Db.option<UsersFindByRow>("SELECT id, body AS \\"the body\\", tag FROM note WHERE id = :id", { id: params.id })
`)
    }).pipe(Effect.provide(database)))

  it.effect("compiles, and its types are those that it promises", () =>
    Effect.gen(function*() {
      const folder = yield* project({
        ...everything,
        "use.ts": `import { Effect, Option } from "effect"
import type { SqlXParams, SqlXRow } from "./queries.js"
import { add, all, one, some, usersFindBy } from "./queries.js"
export const used = Effect.gen(function*() {
  const rows: ReadonlyArray<{ readonly id: number; readonly text: string }> = yield* all()
  const { n }: { readonly n: number } = yield* one()
  const found: Option.Option<{ readonly id: number; readonly "the body": string; readonly tag: string | null }> =
    yield* usersFindBy({ id: 1n })
  const affected: number = (yield* add({ body: "x", tag: null })).rowsAffected
  const ids: ReadonlyArray<number> = (yield* some({ ids: [1, 2n], tag: "x" })).map(({ id }) => id)
  // @ts-expect-error
  yield* usersFindBy({})
  // @ts-expect-error
  yield* add({ body: null, tag: null })
  return [rows, n, found, affected, ids]
})
export const typed = (params: SqlXParams, row: SqlXRow): readonly [number | bigint, string] => [params.id, row.body]
`
      })
      fs.writeFileSync(path.join(folder, "queries.ts"), (yield* checkIn(folder)).output!.text)
      fs.symlinkSync(path.dirname(packageFolder("effect")), path.join(folder, "node_modules"))
      expect(compile(folder)).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(database)), 90_000)
})
