import { NodeContext } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { afterEach, describe, expect, it, layer, vi } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Logger, Redacted, Stream, TestClock } from "effect"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Db } from "../../src/Db.js"
import * as DbConfig from "../../src/DbConfig.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as DbTest from "../../src/DbTest.js"
import type { Done, Request } from "../../src/driver/Driver.js"
import { make as makePg } from "../../src/driver/Pg.js"
import { ask, Delegate } from "../../src/internal/test/decorate.js"
import { administrator } from "../../src/internal/test/postgres.js"
import { isLeftover, newName, serverOn, templateName } from "../../src/internal/test/template.js"
import { describePostgres, describePrivatePostgres, eventually, query, sharedPostgres } from "../kit/postgres.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

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

describe("DbTest.sqlite", () => {
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

  for (const options of [{}, { file: true }, { options: { workers: 1 } }, { file: true, options: { workers: 1 } }]) {
    it.live(`runs the migrations once, and copies what they made: ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        let [runs, seeds] = [0, 0]
        const migrations = Effect.flatMap(
          SqlClient.SqlClient,
          (sql) => Effect.zipRight(sql`CREATE TABLE note (body TEXT)`, sql`INSERT INTO note VALUES (${String(++runs)})`)
        )
        const seed = Effect.suspend(() => Db.query("INSERT INTO note VALUES (:seed)", { seed: `seed ${++seeds}` }))
        const database = DbTest.sqlite({ migrations, seed, hash: JSON.stringify(options), ...options })
        const once = Effect.gen(function*() {
          const found = yield* bodies
          yield* Db.query("INSERT INTO note VALUES ('mine')")
          // Another connection has the same content, where there is one.
          expect(yield* bodies).toEqual([...found.slice(0, 1), "mine", ...found.slice(1)])
          return found
        }).pipe(Effect.provide(database))
        expect([yield* once, yield* once]).toEqual([["1", "seed 1"], ["1", "seed 2"]])
      }))
  }

  it.effect("copies nothing that was made another way", () =>
    Effect.gen(function*() {
      const names = Effect.map(
        Db.query<{ name: string }>("SELECT name FROM sqlite_schema WHERE name LIKE 'my%'"),
        (rows) => rows.map(({ name }) => name)
      )
      // Nothing tells two effects of one name apart.
      const made = (body: string) =>
        DbTest.sqlite({ migrations: DbMigrator.fromRecord({ V1__my: Db.query(`CREATE TABLE ${body} (x)`) }) })
      expect([yield* Effect.provide(names, made("my1")), yield* Effect.provide(names, made("my2"))])
        .toEqual([["my1"], ["my2"]])
      const named = (options: DbTest.SqliteOptions["options"]) =>
        DbTest.sqlite({
          migrations: Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE ${sql("myTable")} (x)`),
          hash: "the same",
          options
        })
      expect([
        yield* Effect.provide(names, named({})),
        yield* Effect.provide(names, named({ transformQueryNames: (name) => name.replace(/[A-Z]/, (c) => `_${c}`) }))
      ]).toEqual([["myTable"], ["my_Table"]])
    }))

  it.effect("migrates a named database, in whose place faults strike only the test", () =>
    Effect.gen(function*() {
      const database = DbTest.sqlite({ database: Other, migrations })
      const faulty = DbTest.flaky(database, [{ on: "statement", nth: 1, times: 100, fault: "Deadlock" }])
      expect(yield* Effect.flip(Effect.provide(Other.query("SELECT * FROM note"), faulty)))
        .toMatchObject({ reason: "Deadlock" })
      expect(yield* Effect.provide(Other.query("SELECT * FROM note"), database)).toEqual([{ body: "migrated" }])
    }))

  it.effect("fails where the migrations fail", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.provide(bodies, DbTest.sqlite({ migrations: DbMigrator.fromRecord({ V1__x: "CREATE NOTHING" }) }))
      )
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("MigrationError")
    }))
})

describe("assertions of DbTest", () => {
  const { effect } = it
  effect("count queries, and tell them from transactions", () =>
    Effect.gen(function*() {
      const oneByOne = Effect.forEach([1, 2, 3], (i) => Db.query("SELECT :i", { i })).pipe(Db.transaction)
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

  effect("noLeaks names the holder of what was not released", () =>
    Effect.gen(function*() {
      let fiber: Effect.Effect.Success<typeof borrowed> | undefined
      const exit = yield* Effect.exit(DbTest.noLeaks(Effect.map(borrowed, (borrower) => fiber = borrower)))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toMatch(/LeakError.*held by borrower, fiber #\d+/s)
      yield* Fiber.interrupt(fiber!)
      yield* DbTest.noLeaks(Db.query("SELECT 1").pipe(Db.session))
    }).pipe(Effect.provide(DbTest.sqlite({ file: true }))))

  effect("a leak fails the test at its end, and does not hold it up", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(borrowed, DbTest.sqlite()))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("held by borrower")
    }))
})

describe("a session held for long under a test layer", () => {
  const inMemory = Db.layer({ url: "sqlite::memory:" })
  const layers = {
    sqlite: DbTest.sqlite(),
    mock: DbTest.mock([{ statement: "SELECT 1" }]),
    recorded: DbTest.recorded(inMemory),
    rollback: DbTest.rollback(inMemory),
    flaky: DbTest.flaky(inMemory, [])
  }
  for (const [name, database] of Object.entries(layers)) {
    it.effect(`is not warned of: ${name}`, () =>
      Effect.gen(function*() {
        const lines: Array<unknown> = []
        const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => lines.push(message)))
        yield* Effect.gen(function*() {
          yield* Db.query("SELECT 1")
          yield* Effect.repeatN(TestClock.adjust("10 seconds"), 10)
        }).pipe(Db.session, Effect.provide(database), Effect.provide(logger))
        expect(lines).toEqual([])
      }))
  }
})

describe("a database on which nothing moves", () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  it.effect("is reported in real time, with the holder that it waits for", () =>
    Effect.gen(function*() {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
      const written = vi.spyOn(process.stderr, "write").mockReturnValue(true)
      yield* Effect.gen(function*() {
        const session = yield* Db.reserve
        yield* session.use(Db.query("SELECT 1"))
        const waiter = yield* Effect.fork(Db.query("SELECT 2"))
        yield* Effect.yieldNow()
        vi.advanceTimersByTime(2_500)
        expect(written).not.toHaveBeenCalled()
        vi.advanceTimersByTime(10_000)
        expect(written).toHaveBeenCalledTimes(1)
        expect(String(written.mock.lastCall?.[0])).toMatch(
          /nothing has moved on database "default", while 1 session waits .*held by .*SELECT 1.*It has one connection/s
        )
        yield* Fiber.interrupt(waiter)
      }).pipe(Effect.scoped, Effect.provide(DbTest.sqlite()))
      expect(vi.getTimerCount()).toBe(0)
    }))
})

layer(DbTest.sqlite({ migrations }))("a layer that tests share", (it) => {
  it.effect("writes", () =>
    Effect.zipRight(seed.pipe(Db.transaction), Db.query("SELECT 1")).pipe(Effect.provide(DbTest.sandboxOf(Db))))
  it.effect("is as it was in the next test", () =>
    Effect.gen(function*() {
      expect(yield* bodies).toEqual(["migrated"])
    }))
})

describePostgres("DbTest.postgres", () => {
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
        DbTest.postgres({ url: sharedPostgres().url, migrations, hash: `runs once ${randomBytes(4).toString("hex")}` })
      )
      yield* Effect.all([once, once, once, once], { concurrency: "unbounded" })
      expect(runs).toBe(1)
    }))

  it.effect("a template that was not finished is made again", () =>
    Effect.gen(function*() {
      const hash = `fails at first ${randomBytes(4).toString("hex")}`
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

  const sweep = Effect.suspend(() =>
    Effect.flatMap(administrator({ url: Redacted.make(sharedPostgres().url) }), (server) => server.sweep)
  ).pipe(Effect.scoped)

  it.effect("keeps the database of a failing test, and leaves it to its author for a week", () =>
    Effect.gen(function*() {
      let kept = ""
      yield* Effect.exit(
        Effect.flatMap(name, (name) => Effect.die(kept = name)).pipe(Effect.provide(database()))
      )
      expect(yield* exists(kept)).toBe(true)
      yield* sweep
      expect(yield* exists(kept)).toBe(true)
      yield* query(sharedPostgres().url, `DROP DATABASE ${kept}`)
    }))

  it.live("sweeps what a killed run has left, and nothing of one that lives", () =>
    Effect.gen(function*() {
      const { url } = sharedPostgres()
      const hash = randomBytes(8).toString("hex")
      // Another process has a database of its own, and is in the middle of building a template.
      const child = spawn(process.execPath, ["--import", "tsx", "test/dbtest/fixture/killedRun.ts", url, hash], {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"]
      })
      const [mine, template] = yield* Effect.promise(() =>
        new Promise<ReadonlyArray<string>>((resolve, reject) => {
          let output = ""
          child.stdout.on("data", (chunk) => {
            output += chunk
            const names = output.trim().split("\n")
            if (names.length === 2) {
              resolve(names)
            }
          })
          child.on("close", () => reject(new Error(`ended: ${output}`)))
        })
      )
      yield* sweep
      expect([yield* exists(mine!), yield* exists(template!)]).toEqual([true, true])
      const ended = Effect.async<void>((resume) => void child.once("close", () => resume(Effect.void)))
      child.removeAllListeners("close")
      child.kill("SIGKILL")
      yield* ended
      yield* eventually(
        Effect.zipRight(sweep, Effect.all([exists(mine!), exists(template!)])),
        (there) => !there.some(Boolean),
        10_000
      )
      // And the template can be built as if for the first time.
      const migrations = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE note (body text)`)
      expect(yield* Effect.provide(bodies, DbTest.postgres({ url, migrations, hash }))).toEqual([])
    }), 30_000)

  it.effect("leaves alone what has just been made, without a connection to it", () =>
    Effect.gen(function*() {
      const server = yield* administrator({ url: Redacted.make(sharedPostgres().url) })
      const name = yield* server.database(undefined, () => false)
      yield* sweep
      expect(yield* exists(name)).toBe(true)
    }).pipe(Effect.scoped))

  it.effect("a template that is swept just when it is to be copied is built again", () =>
    Effect.gen(function*() {
      const { url } = sharedPostgres()
      const driver = yield* makePg(yield* DbConfig.resolve("default", { url }))
      const connection = yield* Effect.acquireRelease(
        driver.open,
        (connection) => Effect.sync(() => connection.destroy())
      )
      let builds = 0
      // A sweep at exactly that moment cannot be provoked.
      class Swept extends Delegate {
        override execute(request: Request, done: Done<unknown>): void {
          const template = /TEMPLATE "(dblive_template_\w+)"/.exec(request.text)?.[1]
          if (template === undefined || builds > 1) {
            return this.inner.execute(request, done)
          }
          ask(this.inner, `ALTER DATABASE ${template} IS_TEMPLATE false`, () =>
            ask(this.inner, `DROP DATABASE ${template}`, () =>
              this.inner.execute(request, done)))
        }
      }
      yield* serverOn(new Swept(connection), driver.target.namespace).database(
        {
          hash: randomBytes(12).toString("hex"),
          build: () =>
            Effect.sync(() => void builds++)
        },
        () => false
      )
      expect(builds).toBe(2)
    }).pipe(Effect.scoped))

  it("leaves alone what may still be wanted", () => {
    const plain = { isTemplate: false, comment: "", isUsed: false }
    const kept = { ...plain, comment: "kept by dblive" }
    const daysAgo = (days: number) => Date.now() - days * 86_400_000
    const old = newName("postgres").replace(/_[0-9a-z]+(_[0-9a-f]{8})$/, `_${daysAgo(8).toString(36)}$1`)
    expect([isLeftover(newName("postgres"), plain), isLeftover(newName("postgres"), { ...plain, isUsed: true })])
      .toEqual([true, false])
    expect([isLeftover(newName("postgres"), kept), isLeftover(old, kept)]).toEqual([false, true])
    const template = (days: number) => ({
      isTemplate: true,
      comment: new Date(daysAgo(days)).toISOString(),
      isUsed: false
    })
    const name = templateName("postgres", "0".repeat(24))
    expect([isLeftover(name, template(6)), isLeftover(name, template(8)), isLeftover(name, plain)]).toEqual([
      false,
      true,
      true
    ])
    expect(isLeftover("dblive_testing", plain)).toBe(false)
  })
})

describePrivatePostgres("DbTest.postgres without a server", () => {
  it.scopedLive("starts one for the run, which ends with it", () =>
    Effect.gen(function*() {
      // What a run has left that was killed together with its server's keeper. No process has such a number.
      const [memory, prefix] = ["/dev/shm", `dblive-postgres-${process.getuid?.() ?? 0}-`]
      const left = [os.tmpdir(), memory].filter(fs.existsSync).map((parent) => path.join(parent, `${prefix}9999999`))
      left.forEach((folder) => fs.mkdirSync(path.join(folder, "data"), { recursive: true }))
      // The run is a process; two of its workers ask at the same moment.
      const owner = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })),
        (owner) => Effect.sync(() => owner.kill("SIGKILL"))
      )
      const ask = Effect.promise(() =>
        new Promise<string>((resolve, reject) => {
          const child = spawn(
            process.execPath,
            ["--import", "tsx", "test/dbtest/fixture/embeddedServer.ts", String(owner.pid)],
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
      expect(left.filter(fs.existsSync)).toEqual([])
      const folders = [os.tmpdir(), memory].map((parent) => path.join(parent, `${prefix}${owner.pid}`))
      expect(fs.existsSync(folders[0]!)).toBe(true)
      owner.kill("SIGKILL")
      yield* eventually(
        Effect.sync(() => folders.filter(fs.existsSync)),
        (there) => there.length === 0,
        10_000
      )
    }), 60_000)
})

describe("DbTest.pglite", () => {
  it.live("is PostgreSQL, private, migrated and seeded", () =>
    Effect.gen(function*() {
      const once = Effect.gen(function*() {
        expect(yield* bodies).toEqual(["migrated", "seeded"])
        const sql = yield* SqlClient.SqlClient
        expect(yield* sql`SELECT ${[1, 2]}::int[] AS list, ${"x"}::text AS text`).toEqual([{ list: [1, 2], text: "x" }])
        expect(yield* Stream.runCount(sql`SELECT * FROM generate_series(1, 2000)`.stream)).toBe(2000)
        const error = yield* Effect.zipRight(Db.query("DELETE FROM note"), Db.query("SELECT 1 / 0")).pipe(
          Db.transaction,
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
        yield* Db.query("DELETE FROM note").pipe(Db.transaction, Effect.provide(DbTest.sandboxOf(Db)))
        expect(yield* bodies).toEqual(["migrated"])
      }).pipe(Effect.provide(DbTest.pglite({ migrations })))
      const error = yield* bodies.pipe(
        Effect.flip,
        Effect.provide(DbTest.flaky(DbTest.pglite({ migrations }), [{ on: "statement", fault: "Deadlock" }]))
      )
      expect(error).toMatchObject({ reason: "Deadlock", code: "40P01" })
    }), 120_000)
})
