import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { Db } from "../../src/Db.js"
import * as DbError from "../../src/DbError.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { bundle } from "../kit/bundle.js"
import { describeAll, type Fixture, fixture, type Kind, withFixture, withOpen } from "./databases.js"

const runner = bundle(new URL("runner.ts", import.meta.url))

interface Line {
  readonly _tag: "Started" | "Statement" | "Ended" | "Waiting" | "Success" | "Failure"
  readonly message?: string
  readonly applied?: ReadonlyArray<{ readonly script: string }>
}

interface Child {
  readonly process: ChildProcess
  readonly lines: ReadonlyArray<Line>
  /** Ends when the predicate holds of the lines, or the process has ended. */
  readonly until: (predicate: (lines: ReadonlyArray<Line>) => boolean) => Effect.Effect<void>
  readonly ended: Effect.Effect<void>
}

/** A process that runs migrations; the scope kills it. */
const child = (...args: ReadonlyArray<string>): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [runner, ...args], { stdio: ["ignore", "pipe", "inherit"] })),
      (process) => Effect.sync(() => process.kill("SIGKILL"))
    ),
    (process) => {
      const lines: Array<Line> = []
      const listeners = new Set<() => void>()
      let rest = ""
      let isOver = false
      const tell = () => {
        for (const listener of listeners) listener()
      }
      process.stdout!.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n")
        rest = parts.pop()!
        for (const part of parts) {
          lines.push(JSON.parse(part) as Line)
          tell()
        }
      })
      process.on("close", () => {
        isOver = true
        tell()
      })
      const until = (predicate: (lines: ReadonlyArray<Line>) => boolean) =>
        Effect.async<void>((resume) => {
          const listener = () => {
            if (isOver || predicate(lines)) {
              listeners.delete(listener)
              resume(Effect.void)
            }
          }
          listeners.add(listener)
          listener()
        })
      return { process, lines, until, ended: until(() => false) }
    }
  )

/** Of the six, the third runs without a transaction; on MySQL, whose DDL commits, all do. */
const statements = 12
const migrations = Object.fromEntries(
  Array.from({ length: 6 }, (_, i) => [
    `V${i + 1}__Table_${i + 1}.sql`,
    (i === 2 ? "-- dblive: no-transaction\n" : "") + `CREATE TABLE t${i + 1} (x INTEGER PRIMARY KEY);\n` +
    Array.from({ length: statements - 1 }, (_, x) => `INSERT INTO t${i + 1} VALUES (${x});\n`).join("")
  ])
)

const rowsOf = (table: string) =>
  Effect.map(Db.query<{ x: number }>(`SELECT x FROM ${table} ORDER BY x`), (rows) => rows.map((row) => row.x)).pipe(
    DbError.catchReason("UndefinedObject", () => Effect.succeed(undefined))
  )

const historyRows = Db.query<{ version: string; success: unknown; description: string }>(
  "SELECT version, success, description FROM schema_version ORDER BY installed_rank"
).pipe(
  DbError.catchReason("UndefinedObject", () => Effect.succeed([]))
)

const isSuccess = (value: unknown) => value === true || String(value) === "1"

/** Everything that was applied is there wholly, and nothing else. */
const isTold = Effect.fnUntraced(function*(kind: Kind) {
  const history = yield* historyRows
  for (let i = 1; i <= 6; i++) {
    const row = history.find((row) => row.version === String(i))
    const rows = yield* rowsOf(`t${i}`)
    if (row === undefined) {
      expect(rows, `t${i} without a row in the history`).toBeUndefined()
    } else if (isSuccess(row.success)) {
      expect(rows).toHaveLength(statements - 1)
    } else {
      expect(kind === "mysql" ? i : 3).toBe(i)
      // What the row says is done is done; the statement that ran when the process died may be, too.
      const told = /(\d+) statements? done/.exec(row.description)
      const done = rows === undefined ? 0 : 1 + rows.length
      expect([0, 1]).toContain(done - (told === null ? 0 : Number(told[1])))
    }
  }
  return history
})

describeAll("migrations by several processes", (kind) => {
  // On MySQL fewer: what differs there, DDL that commits, shows itself with few.
  const together = kind === "mysql" ? 4 : 10
  const kills = kind === "mysql" ? 2 : 6

  it.scopedLive(
    `${together} started together apply each migration exactly once`,
    () =>
      withFixture(kind, ({ folder, source, url, write }) =>
        Effect.gen(function*() {
          write(migrations)
          const children = yield* Effect.forEach(Array.from({ length: together }), () => child(folder, url))
          yield* Effect.forEach(children, (child) => child.ended)
          expect(children.map((child) => child.lines.find((line) => line._tag === "Failure")?.message)).toEqual(
            Array(together).fill(undefined)
          )
          expect(children.map((child) => child.process.exitCode)).toEqual(Array(together).fill(0))
          const applied = children.flatMap((child) => child.lines.at(-1)!.applied!.map((_) => _.script))
          expect(applied.sort()).toEqual(Object.keys(migrations))
          expect((yield* isTold(kind)).map((row) => row.version)).toEqual(["1", "2", "3", "4", "5", "6"])
          yield* DbMigrator.validate(Db, { migrations: source })
        })),
    120_000
  )

  it.live(
    `killed at ${kills * 5} random points and run again: the schema ends right and the history tells the truth`,
    () =>
      Effect.gen(function*() {
        const found = new Set<string>()
        // Each process has five databases, all of them at points of their own when it is killed.
        const kill = (nth: number) =>
          Effect.scoped(Effect.gen(function*() {
            const fixtures = yield* Effect.replicateEffect(fixture(kind), 5)
            for (const { write } of fixtures) write(migrations)
            const lines = fixtures.length * (6 * (statements + 2) + 1)
            // Each in a part of its own.
            const point = 1 + Math.floor((nth + Math.random()) / kills * lines * 0.9)
            const victim = yield* child(fixtures[0]!.folder, "--spread", "50", ...fixtures.map(({ url }) => url))
            yield* victim.until((lines) => lines.length >= point)
            victim.process.kill("SIGKILL")
            yield* victim.ended
            expect(victim.lines.filter((line) => line._tag === "Failure")).toEqual([])
            yield* Effect.forEach(fixtures, (each) => withOpen(each, recovers(each)), { discard: true })
          }))
        const recovers = ({ source }: Fixture) =>
          Effect.gen(function*() {
            const before = yield* isTold(kind)
            const failed = before.find((row) => !isSuccess(row.success))
            found.add(`${before.length}${failed === undefined ? "" : " failed"}`)
            if (failed !== undefined) {
              const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source }))
              const script = `V${failed.version}__Table_${failed.version}.sql`
              expect(error).toMatchObject({ _tag: "MigrationError", reason: "Failed", script })
              yield* Db.query(`DROP TABLE IF EXISTS t${failed.version}`)
              expect(yield* DbMigrator.repair(Db, { migrations: source })).toHaveLength(1)
            }
            yield* DbMigrator.run(Db, { migrations: source })
            const after = yield* isTold(kind)
            expect(after.map((row) => row.version)).toEqual(["1", "2", "3", "4", "5", "6"])
            yield* DbMigrator.validate(Db, { migrations: source })
          })
        yield* Effect.forEach(Array.from({ length: kills }, (_, nth) => nth), kill, { concurrency: 2, discard: true })
        // The points were in the middle, not all at one end.
        expect(found.size).toBeGreaterThan(1)
        expect([...found].filter((state) => state !== "0" && state !== "6")).not.toEqual([])
      }),
    240_000
  )

  it.scopedLive(
    "the lock's holder is named to those who wait, and its death frees the lock",
    () =>
      withFixture(kind, ({ folder, source, url, write }) =>
        Effect.gen(function*() {
          write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
          const holder = yield* child(folder, "--hang", url)
          yield* holder.until((lines) => lines.some((line) => line._tag === "Started"))
          const seen: Array<string> = []
          const onEvent = (event: DbMigrator.MigrationEvent) =>
            Effect.sync(() => {
              if (event._tag === "Waiting") seen.push(event.holder)
            })
          const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source, lockWait: 200, onEvent }))
          expect(error).toMatchObject({ _tag: "MigrationError", reason: "Locked" })
          const name = kind === "pg"
            ? /backend \d+, .*user .*connected since/
            : kind === "mysql"
            ? /connection \d+, user /
            : new RegExp(`process ${holder.process.pid} on `)
          expect(error.message).toMatch(name)
          expect(seen).toHaveLength(1)
          expect(seen[0]).toMatch(name)
          holder.process.kill("SIGKILL")
          const { applied } = yield* DbMigrator.run(Db, { migrations: source, lockWait: 20_000 })
          expect(applied.map((_) => _.script)).toEqual(["V1__a.sql"])
        })),
    60_000
  )

  if (kind === "pg") {
    it.scopedLive(
      "lock: \"none\" goes on beside a holder of the lock; the default does not",
      () =>
        withFixture(kind, ({ folder, source, url, write }) =>
          Effect.gen(function*() {
            write({ "V1__a.sql": "CREATE TABLE a (x INTEGER)" })
            const holder = yield* child(folder, "--hang", url)
            yield* holder.until((lines) => lines.some((line) => line._tag === "Started"))
            for (const lock of [undefined, "session"] as const) {
              const error = yield* Effect.flip(DbMigrator.run(Db, { migrations: source, lock, lockWait: 100 }))
              expect(error).toMatchObject({ _tag: "MigrationError", reason: "Locked" })
            }
            const { applied } = yield* DbMigrator.run(Db, { migrations: source, lock: "none", lockWait: 100 })
            expect(applied.map((_) => _.script)).toEqual(["V1__a.sql"])
          })),
      60_000
    )

    it.scopedLive(
      "lock: \"none\": of two that were started together none applies what the other has, and the history tells the truth",
      () =>
        withFixture(kind, ({ folder, source, url, write }) =>
          Effect.gen(function*() {
            // Those that commit together with their row.
            write(Object.fromEntries(
              Object.entries(migrations).map(([name, text]) => [name, text.replace(/^-- dblive.*\n/, "")])
            ))
            const children = yield* Effect.replicateEffect(child(folder, "--lock", "none", url), 2)
            yield* Effect.forEach(children, (child) => child.ended)
            for (const { lines } of children) expect(["Success", "Failure"]).toContain(lines.at(-1)?._tag)
            expect(children.some(({ lines }) => lines.some((line) => line._tag === "Waiting"))).toBe(false)
            const told = children.flatMap(({ lines }) => lines.at(-1)?.applied ?? []).map(({ script }) => script)
            expect(new Set(told).size).toBe(told.length)
            yield* isTold(kind)
            yield* DbMigrator.run(Db, { migrations: source, lock: "none" })
            expect((yield* isTold(kind)).map((row) => row.version)).toEqual(["1", "2", "3", "4", "5", "6"])
            yield* DbMigrator.validate(Db, { migrations: source })
          })),
      60_000
    )
  }
})
