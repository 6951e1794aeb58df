/** Which module opens SQLite, which pairs are refused, and that node:sqlite has better-sqlite3's manners. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { Db } from "../../../src/Db.js"
import type { SqliteModule } from "../../../src/DbConfig.js"
import { clients } from "../../../src/internal/driver/effectPackages.js"
import { load } from "../../../src/internal/driver/sqlite/module.js"
import type { Database } from "../../../src/internal/driver/sqlite/moduleContract.js"
import { nameOf } from "../../../src/internal/driver/sqlite/names.js"
import * as NodeSqlite from "../../../src/internal/driver/sqlite/nodeSqlite.js"
import { anonymousParameters } from "../../../src/internal/driver/sqlite/text.js"
import { packagesFor, unfit } from "../../../src/internal/driver/sqlite/version.js"
import { bundle } from "../../kit/bundle.js"

const running = process.versions.node

it(`runs on the Node that was asked for: ${process.version}, better-sqlite3 ${installedVersion() ?? "not installed"}`, () => {
  const { TEST_NODE = process.version, TEST_SQLITE } = process.env
  assert.strictEqual(process.version, TEST_NODE)
  if (TEST_SQLITE !== undefined) {
    assert.strictEqual(installedVersion()?.split(".")[0] ?? "node", TEST_SQLITE)
  }
})

function installedVersion(): string | undefined {
  try {
    const file = createRequire(import.meta.url).resolve("better-sqlite3/package.json")
    return (JSON.parse(Fs.readFileSync(file, "utf8")) as { readonly version: string }).version
  } catch {
    return undefined
  }
}

const installed = installedVersion()

const places = [["in this process", 0], ["in a process of its own", 1]] as const

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "dblive-module-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** What `Db.info` says opened a file, or the error. */
const opening = (sqliteModule: SqliteModule, workers: number) =>
  Effect.flatMap(folder, (path) =>
    Effect.zipRight(Db.query("SELECT 1 AS n"), Db.info).pipe(
      Effect.map((info) => info.sqliteModule),
      Effect.provide(Db.layer({ type: "sqlite", filename: Path.join(path, "a.db"), workers, sqliteModule })),
      Effect.either
    ))

describe("a better-sqlite3 that ends the process", () => {
  it("is known by its version and by Node's", () => {
    for (
      const [library, node, install] of [
        ["12.11.1", "24.19.0", "13"],
        ["12.11.1", "24.21.0", "13"],
        ["12.0.0", "25.0.0", "13"],
        ["12.11.1", "26.10.0", "13"],
        ["11.10.0", "24.19.0", "13"],
        ["13.0.0", "20.20.2", "12"],
        ["13.2.0", "21.7.3", "12"]
      ] as const
    ) {
      const refused = unfit(library, node)
      assert.include(refused?.what, `better-sqlite3 ${library}`)
      assert.include(refused?.what, `Node ${node}`)
      assert.include(refused?.advice, `npm install better-sqlite3@${install}`)
    }
    for (
      const [library, node] of [
        ["12.11.1", "20.20.2"],
        ["12.11.1", "22.23.3"],
        ["12.11.1", "24.18.1"],
        ["13.2.0", "22.0.0"],
        ["13.2.0", "24.19.0"],
        ["13.2.0", "26.10.0"]
      ] as const
    ) {
      assert.isUndefined(unfit(library, node), `${library} on ${node}`)
    }
    assert.strictEqual(packagesFor("20.20.2"), ["better-sqlite3@12", ...clients.sqlite].join(" "))
    assert.strictEqual(packagesFor("26.0.0"), "better-sqlite3@13")
  })

  const pair = installed === undefined ? undefined : unfit(installed, running)

  const fits = pair === undefined ? ` (skipped: better-sqlite3 ${installed} runs on Node ${running})` : ""

  describe.skipIf(pair === undefined)(`is refused where it is the installed one${fits}`, () => {
    it.scoped.each(places)("%s", ([, workers]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flatMap(opening("auto", workers), Either.flip)
        assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
        assert.include(error.message, pair!.what)
        assert.include(error.message, pair!.advice.slice("run ".length))
      }))
  })
})

describe.skipIf(installed !== undefined && unfit(installed, running) !== undefined)(
  "the module (not with a better-sqlite3 that must not be loaded)",
  () => {
    it.scoped.each(places)(
      "is better-sqlite3 where it is installed, else node:sqlite, %s",
      ([, workers]) =>
        Effect.gen(function*() {
          const expected = installed === undefined ? `node:sqlite@${running}` : `better-sqlite3@${installed}`
          assert.deepStrictEqual(yield* opening("auto", workers), Either.right(expected))
        })
    )

    it.scoped.each(places)("can be asked for, %s", ([, workers]) =>
      Effect.gen(function*() {
        const own = yield* opening("node:sqlite", workers)
        if (NodeSqlite.lacking() === undefined) {
          assert.deepStrictEqual(own, Either.right(`node:sqlite@${running}`))
        } else {
          const error = yield* Either.flip(own)
          assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
          assert.include(error.message, `Node ${running}`)
          assert.include(error.message, "npm install better-sqlite3@1")
        }
        const library = yield* opening("better-sqlite3", workers)
        if (installed !== undefined) {
          assert.deepStrictEqual(library, Either.right(`better-sqlite3@${installed}`))
        } else {
          const error = yield* Either.flip(library)
          assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
          assert.include(error.message, "the package better-sqlite3 is not installed")
          assert.include(error.message, `npm install ${packagesFor(running)}`)
        }
      }))
  }
)

it("parameters are counted as SQLite does", () => {
  for (
    const [text, count] of [
      ["SELECT 1", 0],
      ["SELECT ?, '?', \"?\", [?], `?` /* ? */ -- ?", 1],
      ["INSERT INTO t VALUES (?,?),(?, ?)", 4],
      ["SELECT ? + ?|| ?", 3],
      ["SELECT data ->> '$.a' = ? FROM t", 1],
      ["SELECT CASE WHEN a THEN ? ELSE ? END", 2],
      ["SELECT ?1", -1],
      ["SELECT :name", -1],
      ["SELECT @name", -1],
      ["SELECT $name", -1]
    ] as const
  ) {
    assert.strictEqual(anonymousParameters(text), count, text)
  }
})

it("result codes have their names", () => {
  assert.deepStrictEqual(
    [1, 5, 261, 517, 266, 8714, 787, 2067, 1032, 3082, 516, 11, 26, 5 | 77 << 8].map(nameOf),
    [
      "SQLITE_ERROR",
      "SQLITE_BUSY",
      "SQLITE_BUSY_RECOVERY",
      "SQLITE_BUSY_SNAPSHOT",
      "SQLITE_IOERR_READ",
      "SQLITE_IOERR_IN_PAGE",
      "SQLITE_CONSTRAINT_FOREIGNKEY",
      "SQLITE_CONSTRAINT_UNIQUE",
      "SQLITE_READONLY_DBMOVED",
      "SQLITE_IOERR_NOMEM",
      "SQLITE_ABORT_ROLLBACK",
      "SQLITE_CORRUPT",
      "SQLITE_NOTADB",
      "SQLITE_BUSY"
    ]
  )
})

const lacking = NodeSqlite.lacking()

/** Statements, with what `sqlite3_stmt_readonly` says of them. */
const natures: ReadonlyArray<readonly [text: string, readonly: boolean]> = [
  ["SELECT * FROM t", true],
  ["/* a */ ; -- b\n VALUES (1)", true],
  ["WITH s AS (SELECT 1) SELECT * FROM s", true],
  ["WITH s AS (SELECT 1) INSERT INTO t SELECT * FROM s", false],
  ["WITH s AS (SELECT 1 AS x) DELETE FROM t WHERE a IN (SELECT x FROM s) RETURNING a", false],
  ["INSERT INTO t VALUES (1)", false],
  ["INSERT INTO t VALUES (1) RETURNING a", false],
  ["REPLACE INTO t VALUES (1)", false],
  ["UPDATE t SET a = 2 WHERE 0", false],
  ["DELETE FROM t", false],
  ["CREATE TABLE IF NOT EXISTS t (a)", false],
  ["CREATE TEMP TABLE u (a)", false],
  ["DROP TABLE IF EXISTS missing", false],
  ["ALTER TABLE t ADD COLUMN b", false],
  ["BEGIN", true],
  ["BEGIN DEFERRED", true],
  ["BEGIN IMMEDIATE", false],
  ["BEGIN EXCLUSIVE", false],
  ["COMMIT", true],
  ["END", true],
  ["ROLLBACK", true],
  ["SAVEPOINT s", true],
  ["RELEASE s", true],
  ["ROLLBACK TO s", true],
  ["ATTACH ':memory:' AS other", true],
  ["DETACH other", true],
  ["VACUUM", false],
  ["ANALYZE", false]
]

const both = (test: (db: Database, name: string) => void) => async () => {
  const modules = [await load("node:sqlite", "test")]
  if (installed !== undefined && unfit(installed, running) === undefined) {
    modules.push(await load("better-sqlite3", "test"))
  }
  for (const { Database, name } of modules) {
    const db = new Database(":memory:")
    try {
      db.exec("CREATE TABLE t (a)")
      test(db, name)
    } finally {
      db.close()
    }
  }
}

const thrown = (f: () => unknown): Error => {
  try {
    f()
  } catch (error) {
    return error as Error
  }
  throw new Error("nothing was thrown")
}

describe.skipIf(lacking !== undefined)(
  `node:sqlite does as better-sqlite3 does${lacking ? ` (${lacking})` : ""}`,
  () => {
    it(
      "tells which statements read",
      both((db, name) => {
        for (const [text, readonly] of natures) {
          assert.strictEqual(db.prepare(text).readonly, readonly, `${name}: ${text}`)
        }
      })
    )

    it(
      "takes one statement, and a value for each parameter",
      both((db, name) => {
        for (
          const [text, message] of [
            ["SELECT 1; SELECT 2", "The supplied SQL string contains more than one statement"],
            ["SELECT 1; x", "The supplied SQL string contains more than one statement"],
            ["  -- nothing", "The supplied SQL string contains no statements"]
          ] as const
        ) {
          const error = thrown(() => db.prepare(text))
          assert.instanceOf(error, RangeError, name)
          assert.strictEqual(error.message, message, name)
        }
        assert.deepStrictEqual(db.prepare(" ; SELECT 1 AS x ; -- end\n /* of it */ ;; ").all(), [{ x: 1 }])
        const two = db.prepare("SELECT ? AS a, ? AS b")
        assert.strictEqual(thrown(() => two.all([1])).message, "Too few parameter values were provided", name)
        assert.strictEqual(thrown(() => two.all([1, 2, 3])).message, "Too many parameter values were provided", name)
        assert.match(thrown(() => db.prepare("SELECT :a").all([1])).message, /parameter/i)
        assert.deepStrictEqual(two.all([null, "b"]), [{ a: null, b: "b" }])
      })
    )

    it(
      "gives rows, blobs and integers alike, few and many",
      both((db, name) => {
        db.prepare(
          "INSERT INTO t WITH RECURSIVE s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 6) SELECT x FROM s"
        )
          .run()
        const read = db.prepare("SELECT a, x'0102' AS blob, 1.5 AS real, 'text' AS text FROM t WHERE a <= ?")
        for (const count of [1, 6, 6, 2, 0]) {
          const rows = read.all([count])
          assert.lengthOf(rows, count)
          for (const row of rows as ReadonlyArray<{ readonly blob: unknown }>) {
            assert.strictEqual(Object.getPrototypeOf(row), Object.prototype, name)
            assert.isTrue(Buffer.isBuffer(row.blob), name)
          }
        }
        const big = db.prepare("SELECT 9007199254740993 AS n, 1 AS one")
        assert.deepStrictEqual(big.all(), [{ n: 9007199254740992, one: 1 }])
        assert.deepStrictEqual(big.safeIntegers(true).all(), [{ n: 9007199254740993n, one: 1n }])
        assert.deepStrictEqual(big.safeIntegers(false).raw(true).all(), [[9007199254740992, 1]])
      })
    )

    it(
      "follows a change of the columns, however many rows there are",
      both((db, name) => {
        db.prepare("INSERT INTO t VALUES (1), (2), (3), (4), (5), (6)").run()
        const read = db.prepare("SELECT * FROM t")
        assert.deepStrictEqual(Object.keys(read.all()[0] as object), ["a"], name)
        assert.deepStrictEqual(Object.keys(read.all()[0] as object), ["a"], name)
        db.exec("ALTER TABLE t RENAME COLUMN a TO b")
        assert.deepStrictEqual(Object.keys(read.all()[0] as object), ["b"], name)
      })
    )

    it(
      "counts the changes of this statement",
      both((db, name) => {
        assert.strictEqual(db.prepare("INSERT INTO t VALUES (1), (2), (3)").run().changes, 3, name)
        assert.strictEqual(db.prepare("CREATE TABLE u (a)").run().changes, 0, name)
        assert.strictEqual(db.prepare("UPDATE t SET a = 0 WHERE a > 1").run().changes, 2, name)
        assert.strictEqual(db.prepare("DELETE FROM t WHERE 0").run().changes, 0, name)
      })
    )

    it(
      "says by name what SQLite refuses, and what is closed",
      both((db, name) => {
        db.exec("CREATE UNIQUE INDEX one ON t (a); INSERT INTO t VALUES (1)")
        const error = thrown(() => db.prepare("INSERT INTO t VALUES (1)").run()) as Error & { readonly code: string }
        assert.deepStrictEqual([error.code, error.message], [
          "SQLITE_CONSTRAINT_UNIQUE",
          "UNIQUE constraint failed: t.a"
        ], name)
        assert.match(thrown(() => db.prepare("SELECT load_extension('x')").all()).message, /not authorized/)
        const read = db.prepare("SELECT 1")
        db.close()
        assert.isFalse(db.open, name)
        assert.match(thrown(() => read.all()).message, /database connection is not open/, name)
        assert.match(thrown(() => db.prepare("SELECT 1")).message, /database connection is not open/, name)
      })
    )
  }
)

describe.skipIf(lacking !== undefined)(
  `what node:sqlite cannot do is refused by type${lacking ? ` (skipped: ${lacking})` : ""}`,
  () => {
    it.scoped.each(places)(
      "functions and clauses that it is compiled without, %s",
      ([, workers]) =>
        Effect.gen(function*() {
          const filename = Path.join(yield* folder, "a.db")
          yield* Effect.gen(function*() {
            yield* Db.query("CREATE TABLE t (a)")
            for (
              const [text, reason] of [
                ["SELECT soundex('a')", "UndefinedObject"],
                ["DELETE FROM t LIMIT 1", "SqlSyntax"],
                ["UPDATE t SET a = 1 LIMIT 1", "SqlSyntax"]
              ] as const
            ) {
              assert.deepInclude(yield* Effect.flip(Db.query(text)), { _tag: "QueryError", reason }, text)
            }
            assert.deepStrictEqual(yield* Db.query("SELECT 1 AS n"), [{ n: 1 }])
          }).pipe(Effect.provide(Db.layer({ type: "sqlite", filename, workers, sqliteModule: "node:sqlite" })))
        })
    )

    const program = bundle(new URL("extensionUnderPermissions.ts", import.meta.url))

    it.scoped("extensions under Node's permission model", () =>
      Effect.gen(function*() {
        const file = Path.join(yield* folder, "a.db")
        const allowed = ["--permission", "--allow-fs-read=*", "--allow-fs-write=*", "--no-warnings"]
        const output = execFileSync(process.execPath, [...allowed, program, file], { encoding: "utf8" })
        assert.deepStrictEqual(JSON.parse(output), ["Authorization", [{ n: 1 }]])
      }))
  }
)
