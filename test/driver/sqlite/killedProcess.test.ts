/** What becomes of a list of statements whose process, or whose program, is killed while it runs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { spawn } from "node:child_process"
import { Db } from "../../../src/Db.js"
import type { Outcome } from "../../../src/DbError.js"
import type { Connection, Done, Request } from "../../../src/driver/Driver.js"
import { bundle } from "../../kit/bundle.js"
import { eventually, file } from "./harness.js"
import { database, emptyWal, isCommitted, judge, list, table, walSize } from "./lists.js"

/** What passes between the program and the process for one list. */
type Journey = "list" | "COMMIT"

/** When a process is killed. */
type Moment =
  /** Before it is asked; when it is asked, before it has read that; when its answer is there. */
  | { readonly journey: Journey; readonly when: "before" | "asked" | "answered" }
  /** When its WAL has reached this part of what the list makes of it. */
  | { readonly wal: number }
  /** When another connection sees the rows; its answer may be on its way then. */
  | { readonly committed: true }

/** Has what is asked of a connection tell its journeys. */
const watch = (connection: Connection, on: (journey: Journey, when: "before" | "asked" | "answered") => void) => {
  const { execute, executeSome } = connection
  const journey = <A>(what: Journey, ask: (done: Done<A>) => void, done: Done<A>) => {
    on(what, "before")
    ask((error, value) => {
      on(what, "answered")
      done(error, value)
    })
    on(what, "asked")
  }
  Object.assign(connection, {
    execute: (request: Request, done: Done<unknown>) =>
      request.text === "COMMIT"
        ? journey("COMMIT", (done) => execute.call(connection, request, done), done)
        : execute.call(connection, request, done),
    executeSome: (requests: ReadonlyArray<Request>, done: Done<ReadonlyArray<unknown>>) =>
      // The driver's callback has the answers beside the error.
      journey("list", (done) => executeSome!.call(connection, requests, done as never), done)
  })
}

const name = (moment: Moment): string =>
  "journey" in moment ? `${moment.journey} ${moment.when}` : "wal" in moment ? "wal" : "committed"

const moments: ReadonlyArray<Moment> = [
  ...(["list", "COMMIT"] as const).flatMap((journey) =>
    (["before", "asked", "answered"] as const).map((when): Moment => ({ journey, when }))
  ),
  ...[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].map((wal): Moment => ({ wal })),
  // Its last frame makes the transaction count. A kill takes a moment itself, so it may come before that or after.
  ...[0.96, 0.97, 0.98, 0.99, 0.995, 0.997].map((wal): Moment => ({ wal })),
  { committed: true }
]

/** What may be told of a list, by the moment of the kill. */
const expected: Readonly<Record<string, ReadonlyArray<"done" | Outcome>>> = {
  "list before": ["NotSent", "RolledBack"],
  "list asked": ["RolledBack"],
  "list answered": ["RolledBack"],
  "COMMIT before": ["Unknown"],
  "COMMIT asked": ["Unknown"],
  "COMMIT answered": ["done"],
  wal: ["RolledBack", "Unknown", "done"],
  committed: ["Unknown", "done"]
}

/**
 * How long the rows of a list are. With a large cache all of them are written by COMMIT, which with rows of a page is over before
 * a program that shares its processor with others has looked at the file once.
 */
const lengths = { small: 3000, large: 30_000 }

describe("a list of statements whose process is killed", () => {
  for (const cache of ["small", "large"] as const) {
    it.scopedLive(`is wholly in the file or not at all, and what was told of it is true (${cache} cache)`, () =>
      Effect.gen(function*() {
        const filename = yield* file
        const told = new Map<number, "done" | Outcome>()
        let current: Connection | undefined
        let onJourney: (pid: number, journey: Journey, when: "before" | "asked" | "answered") => void = () => {}
        yield* Effect.gen(function*() {
          let id = 0
          const send = Effect.suspend(() => {
            id++
            return Effect.map(Effect.either(Db.batch(list(id, lengths[cache]))), (result) => {
              const what = Either.isRight(result) ? "done" : result.left.outcome!
              told.set(id, what)
              return what
            })
          })
          yield* table
          yield* emptyWal
          assert.strictEqual(yield* send, "done")
          const whole = walSize(filename)
          assert.isAbove(whole, 300 * lengths[cache])
          let cutShort = 0
          for (const moment of moments) {
            yield* emptyWal
            assert.strictEqual(walSize(filename), 0)
            let state: "waiting" | "looking" | "over" = "waiting"
            const strike = (pid: number) => {
              if (state !== "over") process.kill(pid, "SIGKILL")
              state = "over"
            }
            const isThere = (): boolean =>
              "wal" in moment ? walSize(filename) >= whole * moment.wal : isCommitted(filename, id)
            const look = (pid: number): void => {
              if (state !== "looking") return
              if (isThere()) strike(pid)
              else setImmediate(look, pid)
            }
            onJourney = (pid, journey, when) => {
              if (!("journey" in moment)) {
                if (state === "waiting") {
                  state = "looking"
                  look(pid)
                }
                // It is asked for nothing more: every moment of its COMMIT is seen.
                if (journey === "COMMIT" && when === "asked") {
                  const limit = performance.now() + 5000
                  while (!isThere() && performance.now() < limit);
                  strike(pid)
                }
              } else if (journey === moment.journey) {
                // A process that is stopped reads nothing.
                if (when === "before" && moment.when === "asked") process.kill(pid, "SIGSTOP")
                if (when === moment.when) strike(pid)
              }
            }
            const what = yield* send
            onJourney = () => {}
            assert.strictEqual(state, "over", name(moment))
            assert.isTrue(expected[name(moment)]!.includes(what), `${name(moment)}: ${what}`)
            if ("wal" in moment && what !== "done") cutShort++
            if ("committed" in moment) assert.isTrue(isCommitted(filename, id))
            yield* eventually(() => current!.lost)
          }
          assert.isAbove(cutShort, 0)
          // The file can be written to as before.
          assert.strictEqual(yield* send, "done")
        }).pipe(Effect.provide(database(filename, cache, (connection) => {
          current = connection
          watch(connection, (journey, when) => onJourney(connection.id, journey, when))
        })))
        const { faults, kept } = judge(filename, told)
        console.log(
          `${cache} cache: ${[...told].map(([id, what]) => kept.has(id) ? `${what}, there` : what).join("; ")}`
        )
        assert.deepStrictEqual(faults, [])
      }))
  }
})

const writer = bundle(new URL("listWriter.ts", import.meta.url))

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("a program that is killed while it writes lists", () => {
  it.scopedLive("has those that it was told are done, and of the one that it was at all or nothing", () =>
    Effect.gen(function*() {
      const files = [yield* file, yield* file]
      const told = files.map(() => new Map<number, "done">())
      const pids: Array<number> = []
      const program = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [writer, ...files], { stdio: ["ignore", "pipe", "pipe"] })),
        (program) => Effect.sync(() => program.kill("SIGKILL"))
      )
      let rest = ""
      program.stdout.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n")
        rest = lines.pop()!
        for (const line of lines) {
          const value = JSON.parse(line) as number | readonly [index: number, id: number]
          if (typeof value === "number") pids.push(value)
          else told[value[0]]!.set(value[1], "done")
        }
      })
      // Its processes write there, too.
      let complaints = ""
      program.stderr.on("data", (text: Buffer) => complaints += text)
      const most = files.map(() => 0)
      /** How many lists of a file were done when its WAL was last seen to have little of the next one. */
      const begun = files.map(() => 0)
      yield* Effect.async<void>((resume) => {
        program.once("close", () => resume(Effect.void))
        // In the middle of a later list of one of its files; where the other is then, is not known.
        const look = () => {
          let hit = false
          files.forEach((filename, i) => {
            const size = walSize(filename)
            const done = told[i]!.size
            most[i] = Math.max(most[i]!, size)
            if (size < most[i]! * 0.6) begun[i] = done
            else if (done > 1 && begun[i] === done && told.every(({ size }) => size > 0)) hit = true
          })
          if (hit) program.kill("SIGKILL")
          else if (program.exitCode === null) setImmediate(look)
        }
        look()
      })
      yield* eventually(() => !pids.some(isAlive))
      assert.strictEqual(complaints, "")
      assert.strictEqual(program.signalCode, "SIGKILL")
      files.forEach((filename, i) => {
        const { faults, kept } = judge(filename, told[i]!)
        assert.deepStrictEqual(faults, [])
        // The one that it was at may be there.
        assert.include([0, 1], kept.size - told[i]!.size)
      })
    }))
})
