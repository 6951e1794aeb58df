import { NodeContext } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { describe, expect, it, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Layer, Stream } from "effect"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as DbTest from "../../src/DbTest.js"
import { isLeftover, newName } from "../../src/test/template.js"
import { describePostgres, describePrivatePostgres, eventually, query, sharedPostgres } from "../kit/postgres.js"

class Other extends Db.Tag("Other")<Other>() {}

const migrations = DbMigrator.fromRecord({
  V1__note: "CREATE TABLE note (body VARCHAR(50))",
  V2__first: "INSERT INTO note (body) VALUES ('migrated')"
})
const seed = Db.query("INSERT INTO note (body) VALUES ('seeded')")
const bodies = Effect.map(
  Db.query<{ body: string }>("SELECT body FROM note ORDER BY body"),
  (rows) => rows.map(({ body }) => body)
)

describe("sqlite", () => {
  for (const file of [false, true]) {
    it.effect(`gives a private, migrated and seeded database ${file ? "in a file" : "in memory"}`, () =>
      Effect.gen(function*() {
        const once = Effect.gen(function*() {
          expect(yield* bodies).toEqual(["migrated", "seeded"])
          yield* Db.query("DELETE FROM note")
          return (yield* Db.info).uri.replace("sqlite:", "")
        }).pipe(Effect.provide(DbTest.sqlite({ migrations, seed, file })))
        const first = yield* once
        yield* once
        expect(fs.existsSync(first)).toBe(false)
        expect(fs.existsSync(path.dirname(first)) && file).toBe(false)
      }))
  }

  it.effect("takes migrations of a folder", () =>
    Effect.gen(function*() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-migrations-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true })))
      fs.writeFileSync(path.join(folder, "V1__note.sql"), "CREATE TABLE note (body TEXT)")
      expect(
        yield* Effect.provide(
          bodies,
          DbTest.sqlite({ migrations: DbMigrator.fromDirectory(folder) }).pipe(Layer.provide(NodeContext.layer))
        )
      ).toEqual([])
    }).pipe(Effect.scoped))

  it.effect("fails where the migrations fail", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.provide(bodies, DbTest.sqlite({ migrations: DbMigrator.fromRecord({ V1__x: "CREATE NOTHING" }) }))
      )
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("MigrationError")
    }))
})

describe("assertions", () => {
  const { effect } = it
  effect("count queries, and tell them from transactions", () =>
    Effect.gen(function*() {
      const oneByOne = Effect.forEach([1, 2, 3], (i) => Db.query("SELECT :i", { i })).pipe(Db.transaction())
      const [values, queries] = yield* DbTest.countQueries(oneByOne)
      expect([values.length, queries]).toEqual([3, 3])
      const [, seen] = yield* DbTest.record(oneByOne)
      expect(seen.map(({ kind }) => kind)).toEqual(["control", "query", "query", "query", "control"])
      expect(seen[2]).toMatchObject({ text: "SELECT ?", params: [2] })
      const sql = yield* SqlClient.SqlClient
      const [, streamed] = yield* DbTest.countQueries(Stream.runDrain(sql`SELECT 1`.stream))
      expect(streamed).toBe(1)
    }).pipe(Effect.provide(DbTest.sqlite())))

  effect("preparing the database does not count", () =>
    Effect.gen(function*() {
      expect(yield* DbTest.statements).toEqual([])
    }).pipe(Effect.provide(DbTest.sqlite({ migrations, seed }))))

  effect("any layer can be recorded, of any tag", () =>
    Effect.gen(function*() {
      yield* Other.query("SELECT 1")
      expect(yield* DbTest.statementsOf(Other)).toMatchObject([{ text: "SELECT 1" }])
      const [, queries] = yield* DbTest.countQueries(Other.query("SELECT 1"), { database: Other })
      expect(queries).toBe(1)
    }).pipe(Effect.provide(DbTest.recorded(Other.layer({ url: "sqlite://:memory:" })))))

  const borrowed = Effect.gen(function*() {
    const held = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkDaemon(
      Effect.zipRight(Deferred.succeed(held, undefined), Effect.never).pipe(Db.session, Effect.withSpan("borrower"))
    )
    yield* Deferred.await(held)
    return fiber
  })

  effect("noLeaks names who did not give back", () =>
    Effect.gen(function*() {
      let fiber: Effect.Effect.Success<typeof borrowed> | undefined
      const exit = yield* Effect.exit(DbTest.noLeaks(Effect.map(borrowed, (borrower) => fiber = borrower)))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toMatch(/LeakError.*held by borrower, fiber #\d+/s)
      yield* fiber!.interruptAsFork(fiber!.id())
      yield* fiber!.await
      yield* DbTest.noLeaks(Db.query("SELECT 1").pipe(Db.session))
    }).pipe(Effect.provide(DbTest.sqlite({ file: true }))))

  effect("a leak fails the test at its end, and does not hold it up", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(borrowed, DbTest.sqlite()))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("held by borrower")
    }))
})

layer(DbTest.sqlite({ migrations }))("a layer that tests share", (it) => {
  it.effect("writes", () =>
    Effect.zipRight(seed.pipe(Db.transaction()), Db.query("SELECT 1")).pipe(Effect.provide(DbTest.sandboxOf(Db))))
  it.effect("is as it was in the next test", () =>
    Effect.gen(function*() {
      expect(yield* bodies).toEqual(["migrated"])
    }))
})

describePostgres("postgres", () => {
  const database = (options: { readonly keep?: "always" } = {}) =>
    DbTest.postgres({ url: sharedPostgres().url, migrations, seed, ...options })
  const name = Effect.map(
    Db.query<{ name: string }>("SELECT current_database() AS name"),
    ([row]) => row!.name
  )
  const exists = (database: string) =>
    Effect.map(
      query(sharedPostgres().url, "SELECT 1 FROM pg_database WHERE datname = $1", [database]),
      (rows) => rows.length === 1
    )

  it.effect("gives a private, migrated and seeded database, and drops it", () =>
    Effect.gen(function*() {
      const once = Effect.gen(function*() {
        expect(yield* bodies).toEqual(["migrated", "seeded"])
        yield* Db.query("DELETE FROM note")
        return yield* name
      }).pipe(Effect.provide(database()))
      const [first, second] = yield* Effect.all([once, once], { concurrency: 2 })
      expect(first).not.toBe(second)
      expect([yield* exists(first), yield* exists(second)]).toEqual([false, false])
    }))

  it.effect("runs the migrations once, however many begin at once", () =>
    Effect.gen(function*() {
      let runs = 0
      const migrations = Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.zipRight(Effect.sync(() => runs++), sql`CREATE TABLE note (body text)`))
      const once = Effect.provide(
        bodies,
        DbTest.postgres({ url: sharedPostgres().url, migrations, hash: `runs once ${newName()}` })
      )
      yield* Effect.all([once, once, once, once], { concurrency: "unbounded" })
      expect(runs).toBe(1)
    }))

  it.effect("a template that nobody finished is made again", () =>
    Effect.gen(function*() {
      const hash = `fails at first ${newName()}`
      let isBroken = true
      const migrations = Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.zipRight(
          sql`CREATE TABLE note (body text)`,
          Effect.suspend(() => isBroken ? Effect.fail("no") : Effect.void)
        ))
      const once = Effect.provide(bodies, DbTest.postgres({ url: sharedPostgres().url, migrations, hash }))
      expect(yield* Effect.flip(once)).toBe("no")
      isBroken = false
      expect(yield* once).toEqual([])
    }))

  it.effect("keeps the database of a failing test, and leaves it to its author for a week", () =>
    Effect.gen(function*() {
      let kept = ""
      yield* Effect.exit(
        Effect.flatMap(name, (name) => Effect.die(kept = name)).pipe(Effect.provide(database()))
      )
      expect(yield* exists(kept)).toBe(true)
      // Another test sweeps.
      yield* Effect.provide(name, database())
      expect(yield* exists(kept)).toBe(true)
      yield* query(sharedPostgres().url, `DROP DATABASE ${kept}`)
    }))

  it.effect("sweeps what crashed runs have left", () =>
    Effect.gen(function*() {
      const { url } = sharedPostgres()
      const dead = spawnSync(process.execPath, ["-e", ""]).pid
      const leftover = newName().replace(`_${process.pid.toString(36)}_`, `_${dead.toString(36)}_`)
      const running = newName()
      yield* query(url, `CREATE DATABASE ${leftover} TEMPLATE template0`)
      yield* query(url, `CREATE DATABASE ${running} TEMPLATE template0`)
      yield* Effect.provide(name, database())
      expect([yield* exists(leftover), yield* exists(running)]).toEqual([false, true])
      yield* query(url, `DROP DATABASE ${running}`)
    }))

  it("leaves alone what may still be used", () => {
    const other = newName().replace(/^dblive_test_\w{6}_/, "dblive_test_abcdef_")
    const old = newName().replace(/_[0-9a-z]+_([0-9a-z]+)$/, `_${(Date.now() - 2 * 86_400_000).toString(36)}_$1`)
    expect([isLeftover(newName(), false, false), isLeftover(other, false, false)]).toEqual([false, false])
    expect([isLeftover(old, false, true), isLeftover(old, false, false), isLeftover(old, true, false)]).toEqual([
      false,
      true,
      false
    ])
    expect(isLeftover("dblive_testing", false, false)).toBe(false)
  })
})

describePrivatePostgres("postgres without a server", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url))

  it.live("starts one for the run, which ends with it", () =>
    Effect.gen(function*() {
      // The run is a process; two of its workers ask at the same moment.
      const owner = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })
      const ask = Effect.promise(() =>
        new Promise<string>((resolve, reject) => {
          const child = spawn(
            process.execPath,
            ["--import", "tsx", "test/dbtest/fixture/embedded.ts", String(owner.pid)],
            { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
          )
          let output = ""
          child.stdout.on("data", (chunk) => output += chunk)
          child.on("error", reject)
          child.on("close", () => resolve(output.trim()))
        })
      )
      const [one, two] = yield* Effect.all([ask, ask], { concurrency: 2 })
      expect(one).toMatch(/^postgresql:\/\/postgres:\w+@127\.0\.0\.1:\d+\/postgres$/)
      expect(two).toBe(one)
      expect(yield* query(one, "SELECT 1 AS x")).toEqual([{ x: 1 }])
      const folder = fs.readdirSync(os.tmpdir()).find((name) => name.endsWith(`-${owner.pid}`))
      owner.kill("SIGKILL")
      yield* eventually(
        Effect.sync(() => fs.existsSync(path.join(os.tmpdir(), folder!))),
        (isThere) => !isThere,
        10_000
      )
    }), 60_000)
})

describe("pglite", () => {
  it.live("is PostgreSQL, private, migrated and seeded", () =>
    Effect.gen(function*() {
      const once = Effect.gen(function*() {
        expect(yield* bodies).toEqual(["migrated", "seeded"])
        const sql = yield* SqlClient.SqlClient
        expect(yield* sql`SELECT ${[1, 2]}::int[] AS list, ${"x"}::text AS text`).toEqual([{ list: [1, 2], text: "x" }])
        expect(yield* Stream.runCount(sql`SELECT * FROM generate_series(1, 2000)`.stream)).toBe(2000)
        const error = yield* Effect.zipRight(Db.query("DELETE FROM note"), Db.query("SELECT 1 / 0")).pipe(
          Db.transaction(),
          Effect.flip
        )
        expect(error).toMatchObject({ reason: "DataError", code: "22012", outcome: "RolledBack" })
        expect(yield* bodies).toEqual(["migrated", "seeded"])
        // Its one connection is cleaned when it is replaced.
        yield* Db.query("SET search_path = nowhere")
        expect(yield* Db.query("SELECT current_setting('search_path') AS path")).toEqual([{ path: "public" }])
        yield* Db.query("DELETE FROM note")
      }).pipe(Effect.provide(DbTest.pglite({ migrations, seed })))
      yield* once
      yield* once
    }), 120_000)

  it.live("can be put into a sandbox, and be flaky", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* Db.query("DELETE FROM note").pipe(Db.transaction(), Effect.provide(DbTest.sandboxOf(Db)))
        expect(yield* bodies).toEqual(["migrated"])
      }).pipe(Effect.provide(DbTest.pglite({ migrations })))
      const error = yield* bodies.pipe(
        Effect.flip,
        Effect.provide(DbTest.flaky(DbTest.pglite({ migrations }), [{ on: "statement", fault: "Deadlock" }]))
      )
      expect(error).toMatchObject({ reason: "Deadlock", code: "40P01" })
    }), 120_000)
})
