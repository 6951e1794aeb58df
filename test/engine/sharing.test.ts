/**
 * Statements that share connections, on connections that are driven by hand: what a server cannot be told to do at a given moment. Its
 * answers, the ends of its cancels and time come when the test says so.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as DbConfig from "../../src/DbConfig.js"
import { ConnectionError, type DbError, TimeoutError } from "../../src/DbError.js"
import type { Connection, Done, Request as DriverRequest } from "../../src/driver/Driver.js"
import { DeadlineTimer, type Fork } from "../../src/internal/pool/DeadlineTimer.js"
import { Pool } from "../../src/internal/pool/Pool.js"
import { PooledRequest } from "../../src/internal/request/PooledRequest.js"
import type { Request } from "../../src/internal/request/Request.js"
import { Sharing, type SharingContext } from "../../src/internal/request/Sharing.js"
import { clockAt } from "../kit/clock.js"
import { unlimited } from "../kit/handPool.js"
import { type Asked, canceled, lostError, requestOf } from "../kit/handSession.js"
import { Steps } from "../kit/steps.js"

const notSentError = new ConnectionError({ what: "lost", reason: "Lost", outcome: "NotSent", database: "orders" })

const cut = new TimeoutError({ what: "cut", phase: "Close", outcome: "Unknown", database: "orders" })

/** A connection that notes what it is given, and answers the first of it when it is told to. */
class HandPipe implements Connection {
  readonly serverVersion = "hand"
  readonly transaction = "idle"
  readonly dirty = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined
  readonly sent: Array<string> = []
  readonly pending: Array<
    { readonly text: string; readonly done: Done<unknown>; readonly onAgain: (() => void) | undefined }
  > = []
  cancels: Array<{ readonly text: string; readonly done: Done<void> }> = []
  readonly prepared = new Set<string>()
  flushes = 0
  isThrowing = false

  constructor(readonly id: number) {}

  private add(how: string, { text }: DriverRequest, done: Done<unknown>, onAgain?: () => void): void {
    this.sent.push(how + text)
    this.pending.push({ text, done, onAgain })
  }

  readonly execute = (request: DriverRequest, done: Done<unknown>): void => {
    this.prepared.add(request.text)
    this.add("alone ", request, done)
  }

  readonly canPipeline = ({ text }: DriverRequest): boolean => !this.lost && this.prepared.has(text)

  readonly pipeline = (request: DriverRequest, done: Done<unknown>, onAgain?: () => void): void => {
    if (this.isThrowing) throw new Error("no room")
    if (this.lost) return done(notSentError, undefined)
    this.add("", request, done, onAgain)
  }

  readonly flush = (): void => {
    this.flushes++
  }

  readonly cancel = (done: Done<void>, request?: DriverRequest): void => {
    this.cancels.push({ text: request?.text ?? "", done })
  }

  readonly destroy = (): void => {
    this.lost = true
    for (const { done } of this.pending.splice(0)) done(lostError, undefined)
    for (const { done } of this.cancels.splice(0)) done(lostError, undefined)
  }

  readonly openCursor = (): void => assert.fail("no cursors here")
  readonly ping = (done: Done<void>): void => done(undefined, undefined)
  readonly reset = (_: string, done: Done<void>): void => done(undefined, undefined)
  readonly close = (done: Done<void>): void => done(undefined, undefined)
  readonly writes = (text: string): boolean => text.startsWith("INSERT")

  answer(value: unknown): void {
    this.pending.shift()!.done(undefined, value)
  }

  fail(error: DbError): void {
    this.pending.shift()!.done(error, undefined)
  }

  /** The first one is sent again, behind the others. */
  sendAgain(): void {
    const first = this.pending.shift()!
    this.pending.push(first)
    first.onAgain?.()
  }

  cancelled(): void {
    this.cancels.shift()!.done(undefined, undefined)
  }
}

interface Answer extends Asked {
  readonly request: PooledRequest
}

const fiber = Effect.runFork(Effect.never)

/** A pool with these settings, whose texts are prepared and known to be short. */
const hand = (settings: Partial<DbConfig.Pool> = {}) => {
  const pools = { ...unlimited, size: 1, sharing: "reads" as const, ...settings }
  const steps = new Steps()
  const connections: Array<HandPipe> = []
  const told: Array<string> = []
  const statements: Array<number> = []
  let now = 1000
  // The test wakes the timer.
  const clock = clockAt(() => now, () => Effect.never)
  const fork: Fork = (effect) => steps.fork(Effect.withClock(effect, clock))
  const settle = () => {
    steps.run()
  }
  const timer = new DeadlineTimer(clock, fork, (at) => pool.expire(at))
  const pool: Pool<Connection> = new Pool<Connection>(
    "orders",
    pools,
    { size: pools.size, total: pools.size, reserved: 0 },
    {
      open: Effect.sync(() => {
        const connection = new HandPipe(connections.length + 1)
        connections.push(connection)
        return connection
      }),
      openSchedule: Schedule.recurs(0),
      isLost: ({ lost }) => lost,
      validate: (_, answer) => answer(true),
      close: (connection, _, done) => {
        told.push(`closed ${connection.id}`)
        done()
      },
      onOpened: () => {},
      onOpenFailed: () => {},
      isKept: () => false,
      onLeak: (_, holder) => told.push(`leak ${holder.statement}`),
      onLeakReturned: (_, heldFor) => told.push(`returned after ${heldFor}`)
    },
    { clock, timer, fork, random: () => 0 }
  )
  const looks: Array<string> = []
  const engine = {
    name: "orders",
    config: { pool: pools, limits: { statementTimeout: 0, lockTimeout: 0, idleInTransactionTimeout: 0 } },
    driver: {
      dialect: "pg",
      sharing: (text: string) => {
        looks.push(text)
        return text.startsWith("INSERT") ? "write" : text.startsWith("LOCK") ? undefined : "read"
      }
    },
    pool,
    writeLock: undefined,
    clock,
    timer,
    metrics: { statement: (millis: number) => statements.push(millis), waited: () => {} },
    failed: (error: DbError) => told.push(`failed ${error._tag} ${error.outcome}`),
    leftBehind: () => {},
    slowAt: 8,
    slow: (request: Request, _: DbError | undefined, millis: number) => told.push(`slow ${request.text} ${millis}`)
  }
  // What is read of an engine by what is tested with it.
  const context = engine as unknown as { sharing: Sharing | undefined } & SharingContext
  context.sharing = Sharing.of(context)

  const ask = (text: string, limit = 0): Answer => {
    const answer = { count: 0, error: undefined as DbError | undefined, value: undefined as unknown }
    const request = new PooledRequest(context, requestOf(text), limit, undefined, fiber, (error, value) => {
      answer.count++
      answer.error = error
      answer.value = value
    })
    request.start()
    settle()
    return Object.assign(answer, { request })
  }

  /** Has every connection know these texts, and the engine how long they take. */
  const learnAs = (millis: number, ...texts: ReadonlyArray<string>): void => {
    for (const text of texts) {
      const asked = Array.from({ length: pools.size }, () => ask(text))
      now += millis
      for (const connection of connections) {
        while (connection.pending.length > 0) connection.answer([])
      }
      assert.isTrue(asked.every(({ count }) => count === 1))
    }
    for (const connection of connections) connection.sent.length = 0
    statements.length = 0
    told.length = 0
  }
  const learn = (...texts: ReadonlyArray<string>): void => learnAs(0, ...texts)

  return {
    pool,
    connections,
    context,
    told,
    statements,
    /** The texts that were looked at, in this order. */
    looks,
    ask,
    learn,
    learnAs,
    settle,
    advance: (millis: number) => {
      now += millis
      pool.expire(now)
      settle()
    },
    /** The process is too busy to see that time passes. */
    block: (millis: number) => {
      now += millis
    },
    holders: () => pool.holders.map(({ statement }) => statement),
    /** Nothing is left of any statement, and every connection can be had again. */
    isWhole: () => {
      assert.deepStrictEqual(pool.holders, [])
      assert.deepInclude(pool.figures, { waiting: 0, inUse: 0, opening: 0, idle: pool.entries.size })
      for (const { borrower, deadline, queueDeadline, state } of pool.entries) {
        assert.deepEqual([state, borrower, deadline, queueDeadline], ["idle", undefined, Infinity, Infinity])
      }
      for (const connection of connections) assert.deepEqual([connection.pending, connection.cancels], [[], []])
      // No moment is waited for.
      assert.strictEqual(pool.expire(now + 1_000_000), Infinity)
      const entries = Array.from({ length: pools.size }, () => pool.tryAcquire(now))
      assert.strictEqual(new Set(entries).size, pools.size)
      for (const entry of entries) {
        assert.isDefined(entry)
        pool.release(entry!)
      }
    }
  }
}

/** The same, with its connections open. */
const started = (settings: Partial<DbConfig.Pool> = {}) => {
  const made = hand(settings)
  made.learn("SELECT 1")
  return made
}

/** What is sent at the end of a turn of the event loop is sent, and what is looked at then is looked at. */
const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** What has to run elsewhere is asked for there in one turn, and sent at the end of the next one. */
const moved = Effect.zipRight(turn, turn)

const a = "SELECT a"
const b = "SELECT b"
const c = "SELECT c"
const write = "INSERT w"

describe("statements that share a connection, by hand", () => {
  it.effect("what is known of texts is remembered, of so many characters that it does not fill the memory", () =>
    Effect.sync(() => {
      const { context, looks } = started()
      const long = (n: number) => `SELECT ${n} ${"x".repeat(1024 * 1024)}`
      const look = (text: string) => context.sharing!.textOf(requestOf(text))
      looks.length = 0
      look(a)
      for (let n = 0; n < 7; n++) look(long(n))
      look(a)
      look(long(3))
      assert.lengthOf(looks, 8)
      look(long(7))
      look(a)
      assert.lengthOf(looks, 10)
      for (let n = 0; n < 5_000; n++) look(`SELECT ${n}`)
      look(a)
      assert.lengthOf(looks, 5_011)
    }))

  it.effect("the limit of the last one, which is not sent yet, leaves its connection to who comes next", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn } = started()
      learn(a)
      const limited = ask(a, 1)
      const next = ask(write)
      advance(1)
      assert.deepInclude(limited.error, { _tag: "TimeoutError", outcome: "NotSent" })
      assert.deepStrictEqual([connection!.lost, connection!.sent], [false, [`alone ${write}`]])
      connection!.answer("written")
      assert.deepInclude(next, { count: 1, error: undefined, value: "written" })
      yield* turn
      isWhole()
    }))

  it.effect("travel in one write, and are answered in order", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], holders, isWhole, learn } = started()
      learn(a, b)
      const before = connection!.flushes
      const asked = [ask(a), ask(b), ask(a)]
      assert.deepStrictEqual(connection!.sent, [])
      assert.strictEqual(connection!.flushes, before)
      assert.deepStrictEqual(holders(), [a, b, a])
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, b, a])
      assert.strictEqual(connection!.flushes, before + 1)
      connection!.answer(1)
      assert.deepStrictEqual(asked.map(({ count }) => count), [1, 0, 0])
      connection!.answer(2)
      connection!.answer(3)
      assert.deepStrictEqual(asked.map(({ value }) => value), [1, 2, 3])
      isWhole()
    }))

  it.effect("a duration counts from when the server could begin, also for the log of slow ones", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], learn, statements, told } = started()
      learn(a, b)
      ask(a)
      ask(b)
      yield* turn
      advance(9)
      connection!.answer(1)
      advance(3)
      connection!.answer(2)
      assert.deepStrictEqual(statements, [9, 3])
      assert.deepStrictEqual(told.filter((line) => line.startsWith("slow")), [`slow ${a} 9`])
    }))

  it.effect("reads behind one that takes too long run elsewhere, once, and their first answers are dropped", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, holders, isWhole, learn } = started({ size: 2 })
      learn(a, b, c)
      const asked = [ask(a), ask(b), ask(c)]
      yield* turn
      const [first, second] = connections[0]!.sent.length > 0 ? connections : [connections[1]!, connections[0]!]
      assert.deepStrictEqual([first!.sent, second!.sent], [[a, b, c], []])
      advance(21)
      yield* moved
      assert.deepStrictEqual(second!.sent, [b, c])
      // Each is told once.
      assert.sameMembers(holders(), [a, b, c])
      second!.answer("b")
      assert.sameMembers(holders(), [a, c])
      first!.answer("a")
      // What the server works at on the first one holds that.
      assert.sameMembers(holders(), [b, c])
      first!.answer("b, too late")
      first!.answer("c, first")
      assert.deepStrictEqual(asked.map(({ count, value }) => [count, value]), [[1, "a"], [1, "b"], [0, undefined]])
      second!.answer("c")
      assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
      assert.strictEqual(asked[2]!.value, "c")
      isWhole()
    }))

  it.effect("one whose fiber has ended is a holder only while the server works at it", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], holders, isWhole, learn } = started()
      learn(a, b, c)
      const [first, second, third] = [ask(a), ask(b), ask(c)]
      yield* turn
      first!.request.withdraw(() => {})
      second!.request.withdraw(() => {})
      assert.deepStrictEqual(holders(), [a, c])
      connection!.answer("a")
      assert.deepStrictEqual(holders(), [b, c])
      connection!.answer("b")
      connection!.answer("c")
      assert.strictEqual(third!.value, "c")
      isWhole()
    }))

  it.effect("writes stay where they are, and are never sent twice", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, isWhole, learn } = started({ size: 2, sharing: "all" })
      learn(a, write)
      const asked = [ask(a), ask(write), ask(a)]
      yield* turn
      const first = connections.find(({ sent }) => sent.length > 0)!
      const second = connections.find((connection) => connection !== first)!
      advance(50)
      yield* moved
      assert.deepStrictEqual([first.sent, second.sent], [[a, write, a], [a]])
      for (const value of ["a", "w", "late"]) first.answer(value)
      second.answer("b")
      assert.deepStrictEqual(asked.map(({ count, value }) => [count, value]), [[1, "a"], [1, "w"], [1, "b"]])
      isWhole()
    }))

  it.effect("nothing is sent behind one that takes too long", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn, pool } = started()
      learn(a, b)
      ask(a)
      yield* turn
      advance(21)
      yield* turn
      const waits = ask(b)
      assert.deepStrictEqual(connection!.sent, [a])
      assert.strictEqual(pool.waiting, 1)
      connection!.answer(1)
      yield* turn
      connection!.answer(2)
      assert.strictEqual(waits.value, 2)
      isWhole()
    }))

  it.effect("the limit of the first one stops it on the server, and its connection serves no other before that is settled", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn, pool } = started()
      learn(a, b)
      const limited = ask(a, 10)
      yield* turn
      advance(10)
      assert.deepStrictEqual(connection!.cancels.map(({ text }) => text), [a])
      connection!.fail(canceled)
      const next = ask(b)
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a], 1])
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a])
      connection!.cancelled()
      assert.deepInclude(limited.error, { _tag: "TimeoutError", phase: "Statement", outcome: "RolledBack" })
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, b])
      connection!.answer("b")
      assert.deepStrictEqual([next.count, next.value, limited.count], [1, "b", 1])
      isWhole()
    }))

  it.effect("the limit of the first one is told when that has ended, though what settles its cancel stands behind others", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn } = started({ sharing: "all" })
      learn(a, write)
      const limited = ask(a, 10)
      const behind = ask(write)
      yield* turn
      advance(10)
      connection!.fail(canceled)
      assert.deepInclude(limited.error, { _tag: "TimeoutError", phase: "Statement", outcome: "RolledBack" })
      advance(60_000)
      assert.isFalse(connection!.lost)
      connection!.answer("w")
      connection!.cancelled()
      assert.deepStrictEqual([behind.value, limited.count], ["w", 1])
      isWhole()
    }))

  it.effect("one whose limit has passed before the write is not sent", () =>
    Effect.gen(function*() {
      const { ask, block, connections: [connection], isWhole, learn } = started({ sharing: "all" })
      learn(a, write)
      const limited = ask(write, 10)
      ask(a)
      block(10)
      yield* turn
      assert.deepInclude(limited.error, { _tag: "TimeoutError", phase: "Statement", outcome: "NotSent" })
      assert.deepStrictEqual(connection!.sent, [a])
      connection!.answer("a")
      isWhole()
    }))

  it.effect("a cancel that is not settled in time costs the connection", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], learn } = started()
      learn(a)
      const limited = ask(a, 10)
      yield* turn
      advance(10)
      advance(60_000)
      assert.isTrue(connection!.lost)
      assert.strictEqual(limited.count, 1)
      assert.strictEqual(limited.error?._tag, "TimeoutError")
    }))

  it.effect("the limit of one behind ends it at once, and its answer is dropped", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn } = started({ sharing: "all" })
      learn(a, write)
      const head = ask(a)
      const behind = ask(write, 10)
      yield* turn
      advance(10)
      assert.deepInclude(behind.error, { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
      assert.lengthOf(connection!.cancels, 0)
      connection!.answer("a")
      connection!.answer("w")
      assert.deepStrictEqual([head.value, behind.count, behind.value], ["a", 1, undefined])
      isWhole()
    }))

  for (const at of [0, 1, 2]) {
    for (const isFlushed of [true, false]) {
      it.effect(`an interrupt of number ${at + 1} of 3 ${isFlushed ? "on its way lets go of it" : "before the write takes it out"}`, () =>
        Effect.gen(function*() {
          const { ask, connections: [connection], isWhole, learn } = started()
          learn(a, b, c)
          const asked = [ask(a), ask(b), ask(c)]
          if (isFlushed) yield* turn
          let settled = 0
          asked[at]!.request.withdraw(() => settled++)
          assert.strictEqual(settled, 1)
          yield* turn
          assert.lengthOf(connection!.cancels, 0)
          const all = [a, b, c].filter((_, i) => isFlushed || i !== at)
          assert.deepStrictEqual(connection!.sent, all)
          for (const text of all) connection!.answer(text.slice(-1))
          asked.forEach(({ value }, i) => assert.strictEqual(value, i === at ? undefined : ["a", "b", "c"][i]))
          isWhole()
        }))
    }
  }

  it.effect("one that was let go and takes too long is stopped, and those behind it run elsewhere", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, isWhole, learn } = started({ size: 2 })
      learn(a, b)
      const asked = [ask(a), ask(b)]
      yield* turn
      const first = connections.find(({ sent }) => sent.length > 0)!
      const second = connections.find((connection) => connection !== first)!
      asked[0]!.request.withdraw(() => {})
      advance(21)
      yield* moved
      assert.deepStrictEqual(first.cancels.map(({ text }) => text), [a])
      assert.deepStrictEqual(second.sent, [b])
      first.fail(canceled)
      first.answer("late")
      first.cancelled()
      second.answer("b")
      assert.deepStrictEqual([asked[1]!.count, asked[1]!.value], [1, "b"])
      isWhole()
    }))

  it.effect("one that was let go and takes too long is stopped, and another one runs elsewhere, also where that was before it and is sent again", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, isWhole, learn } = started({ size: 2 })
      learn(a, b, c)
      const asked = [ask(a, 10), ask(b), ask(c)]
      yield* turn
      const first = connections.find(({ sent }) => sent.length > 0)!
      const second = connections.find((connection) => connection !== first)!
      asked[2]!.request.withdraw(() => {})
      advance(10)
      assert.deepStrictEqual(first.cancels.map(({ text }) => text), [a])
      // Its answer is faster than the cancel, which hits the second one.
      first.answer("a")
      first.sendAgain()
      first.cancelled()
      advance(21)
      yield* moved
      assert.deepStrictEqual([first.cancels.map(({ text }) => text), second.sent], [[c], [b]])
      first.fail(canceled)
      first.cancelled()
      second.answer("b")
      first.answer("b, in vain")
      assert.deepStrictEqual(asked.slice(0, 2).map(({ count, value }) => [count, value]), [[1, "a"], [1, "b"]])
      isWhole()
    }))

  it.effect("the limit of one that was sent again is told at once, and costs no connection", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn } = started({ sharing: "all" })
      learn(a, b, write)
      const asked = [ask(a), ask(b, 15), ask(write)]
      yield* turn
      connection!.answer("a")
      connection!.sendAgain()
      advance(15)
      assert.deepInclude(asked[1]!.error, { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
      assert.deepStrictEqual([connection!.cancels, connection!.lost], [[], false])
      advance(3)
      connection!.answer("w")
      connection!.answer("b, too late")
      assert.deepStrictEqual(asked.map(({ count, value }) => [count, value]), [[1, "a"], [1, undefined], [1, "w"]])
      isWhole()
    }))

  it.effect("one that is sent again alone goes on where it is", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learn } = started()
      learn(a)
      const only = ask(a)
      yield* turn
      connection!.sendAgain()
      connection!.answer("a")
      assert.deepStrictEqual([only.count, only.value], [1, "a"])
      isWhole()
    }))

  it.effect("a driver that throws loses its connection, and each statement has its end", () =>
    Effect.gen(function*() {
      const { ask, connections, learn } = started()
      learn(a, b)
      const connection = connections[0]!
      const first = ask(a)
      yield* turn
      connection.isThrowing = true
      const second = ask(b)
      yield* turn
      assert.isTrue(connection.lost)
      assert.deepInclude(first.error, { _tag: "ConnectionError", reason: "Lost" })
      assert.deepInclude(second.error, { _tag: "QueryError", outcome: "Unknown" })
      assert.deepStrictEqual([first.count, second.count], [1, 1])
      const again = ask(a)
      assert.lengthOf(connections, 2)
      connections[1]!.answer("a")
      assert.strictEqual(again.value, "a")
    }))

  it.effect("so many share a connection as the depth allows, and those that wait join as others leave", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learn, pool } = started({ sharingDepth: 2 })
      learn(a, b, c)
      const asked = [ask(a), ask(b), ask(c), ask(a)]
      yield* turn
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a, b], 2])
      connection!.answer(1)
      yield* turn
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a, b, c], 1])
      connection!.answer(2)
      yield* turn
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a, b, c, a], 0])
      connection!.answer(3)
      connection!.answer(4)
      assert.deepStrictEqual(asked.map(({ value }) => value), [1, 2, 3, 4])
      isWhole()
    }))

  it.effect("one that needs a connection to itself is not overtaken, and shares with none", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learn } = started()
      learn(a, b)
      const asked = [ask(a), ask("LOCK"), ask(b)]
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a])
      connection!.answer(1)
      assert.deepStrictEqual(connection!.sent, [a, "alone LOCK"])
      connection!.answer(2)
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, "alone LOCK", b])
      connection!.answer(3)
      assert.deepStrictEqual(asked.map(({ value }) => value), [1, 2, 3])
      isWhole()
    }))

  it.effect("a pool that closes waits for all of them", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], learn, pool, told } = started()
      learn(a, b)
      const asked = [ask(a), ask(b)]
      yield* turn
      const closing = yield* Effect.fork(Effect.map(pool.close(1000), () => void told.push("over")))
      yield* turn
      connection!.answer(1)
      assert.notInclude(told, "over")
      connection!.answer(2)
      assert.deepStrictEqual(asked.map(({ value }) => value), [1, 2])
      yield* Fiber.join(closing)
      assert.deepStrictEqual(told, ["closed 1", "over"])
    }))

  it.effect("a pool that closes and waits no longer stops the first, and lets go of those behind it", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], learn, pool, told } = started({ sharing: "all" })
      learn(a, b, write)
      const asked = [ask(a), ask(write)]
      yield* turn
      asked.push(ask(b))
      pool.entries.forEach(({ borrower }) => borrower!.onCut(cut, "stop"))
      assert.deepStrictEqual(connection!.cancels.map(({ text }) => text), [a])
      assert.deepStrictEqual(asked.map(({ error }) => error?.outcome), [undefined, "Unknown", "NotSent"])
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, write])
      connection!.fail(canceled)
      connection!.cancelled()
      assert.deepStrictEqual(asked.map(({ error }) => error?.outcome), ["RolledBack", "Unknown", "NotSent"])
      for (const { count, error } of asked) {
        assert.strictEqual(count, 1)
        assert.deepInclude(error, { _tag: "TimeoutError", phase: "Close" })
      }
      // What was let go is answered, or the connection is dropped.
      const closing = yield* Effect.fork(Effect.map(pool.close(1000), () => void told.push("over")))
      yield* turn
      connection!.answer("w")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(told.slice(-2), ["closed 1", "over"])
      advance(10_000)
      assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
    }))

  it.effect("a pool that closes and does not wait at all drops them, and each has its end", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], learn, pool } = started({ sharing: "all" })
      learn(a, b, write)
      const asked = [ask(a), ask(write)]
      yield* turn
      asked.push(ask(b))
      pool.entries.forEach(({ borrower }) => borrower!.onCut(cut, "drop"))
      assert.isTrue(connection!.lost)
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, write])
      assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
      assert.deepStrictEqual(asked.map(({ error }) => error !== undefined), [true, true, true])
      assert.deepInclude(pool.figures, { inUse: 0, open: 0, waiting: 0 })
    }))

  it.effect("the limit of one that is not sent takes it out", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn, pool } = started({ sharing: "all" })
      learn(a, write)
      const limited = ask(write, 10)
      const behind = ask(a)
      advance(10)
      assert.deepInclude(limited.error, { _tag: "TimeoutError", phase: "Statement", outcome: "NotSent" })
      yield* turn
      assert.deepStrictEqual([connection!.sent, connection!.cancels], [[a], []])
      connection!.answer("a")
      assert.deepStrictEqual([limited.count, behind.value], [1, "a"])
      assert.strictEqual(pool.figures.idle, 1)
      isWhole()
    }))

  it.effect("one that is taken out leaves its connection to those that wait", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learn, pool } = started({ sharingDepth: 1 })
      learn(a, b)
      const [out, alone, shared] = [ask(a), ask("LOCK"), ask(b)]
      assert.strictEqual(pool.waiting, 2)
      out.request.withdraw(() => {})
      assert.strictEqual(pool.waiting, 1)
      yield* turn
      assert.deepStrictEqual(connection!.sent, ["alone LOCK"])
      connection!.answer("l")
      yield* turn
      connection!.answer("b")
      assert.deepStrictEqual([out.value, alone.value, shared.value], [undefined, "l", "b"])
      isWhole()
    }))

  it.effect("nothing is sent beside a cancel that began in the same turn: it runs elsewhere", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, isWhole, learn } = started({ size: 2, sharing: "all" })
      learn(a, b, write)
      const limited = ask(a, 10)
      yield* turn
      const first = connections.find(({ sent }) => sent.length > 0)!
      const second = connections.find((connection) => connection !== first)!
      // It is known to be short, and joins the first.
      const asked = [ask(write), ask(b)]
      advance(10)
      assert.lengthOf(first.cancels, 1)
      yield* moved
      assert.deepStrictEqual([first.sent, second.sent], [[a], [write, b]])
      first.fail(canceled)
      first.cancelled()
      second.answer("w")
      second.answer("b")
      assert.deepStrictEqual(asked.map(({ count, value }) => [count, value]), [[1, "w"], [1, "b"]])
      assert.strictEqual(limited.count, 1)
      isWhole()
    }))

  it.effect("what is no longer prepared when it is to be sent runs alone", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learn } = started()
      learn(a, b)
      const first = ask(a)
      yield* turn
      const second = ask(b)
      connection!.prepared.delete(b)
      connection!.answer("a")
      yield* turn
      assert.deepStrictEqual(connection!.sent, [a, "alone " + b])
      connection!.answer("b")
      assert.deepStrictEqual([first.value, second.value, second.count], ["a", "b", 1])
      isWhole()
    }))

  it.effect("a connection that is lost before the write: nothing was sent, and each has its end", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], learn, pool } = started({ sharing: "all" })
      learn(a, write)
      const sent = ask(a)
      yield* turn
      const unsent = ask(write)
      connection!.destroy()
      yield* turn
      assert.deepStrictEqual([sent, unsent].map(({ error }) => error?.outcome), ["Unknown", "NotSent"])
      assert.deepStrictEqual([sent.count, unsent.count], [1, 1])
      assert.deepInclude(pool.figures, { inUse: 0, open: 0, waiting: 0 })
    }))

  it.effect("so many share a connection as take a bounded time together", () =>
    Effect.gen(function*() {
      const { ask, connections: [connection], isWhole, learnAs, pool } = started()
      learnAs(9, a)
      learnAs(11, b)
      const asked = [ask(a), ask(a), ask(a), ask(b)]
      yield* turn
      // Of 20 ms 18 are taken; and b, which takes more than half of them, shares with none.
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a, a], 2])
      connection!.answer(1)
      yield* turn
      assert.deepStrictEqual([connection!.sent, pool.waiting], [[a, a, a], 1])
      connection!.answer(2)
      connection!.answer(3)
      assert.deepStrictEqual(connection!.sent, [a, a, a, "alone " + b])
      connection!.answer(4)
      assert.deepStrictEqual(asked.map(({ value }) => value), [1, 2, 3, 4])
      isWhole()
    }))

  it.effect("each counts as one use, also of those that had to wait or to move", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, isWhole, learn, pool } = started({ size: 2, sharingDepth: 2 })
      learn(a, b, c)
      const before = pool.lends
      const asked = [ask(a), ask(b)]
      assert.strictEqual(pool.lends, before + 2)
      yield* turn
      advance(21)
      yield* turn
      // The one that moved has another connection.
      assert.strictEqual(pool.lends, before + 3)
      const first = connections.find(({ sent }) => sent.length === 2)!
      const second = connections.find((connection) => connection !== first)!
      const waits = [ask(c), ask(c)]
      yield* turn
      assert.deepStrictEqual([pool.lends, pool.waiting], [before + 4, 1])
      second.answer("b")
      assert.deepStrictEqual([pool.lends, pool.waiting], [before + 5, 0])
      yield* turn
      for (const value of ["c", "c"]) second.answer(value)
      for (const value of ["a", "late"]) first.answer(value)
      assert.deepStrictEqual([...asked, ...waits].map(({ value }) => value), ["a", "b", "c", "c"])
      isWhole()
    }))

  it.effect("a wait that reaches its limit tells every statement that holds the connection", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn } = started({
        sharingDepth: 2,
        acquireTimeout: 15
      })
      learn(a, b, c)
      const asked = [ask(a), ask(b)]
      yield* turn
      const waits = ask(c)
      advance(15)
      assert.deepInclude(waits.error, { _tag: "TimeoutError", phase: "Acquire", outcome: "NotSent" })
      assert.include(waits.error?.message, "; 1 of 1 are held, the longest")
      const { holders } = waits.error as TimeoutError
      assert.deepStrictEqual(holders?.map(({ heldForMillis, statement }) => [statement, heldForMillis]), [[a, 15], [
        b,
        15
      ]])
      connection!.answer("a")
      connection!.answer("b")
      assert.deepStrictEqual([...asked, waits].map(({ count }) => count), [1, 1, 1])
      isWhole()
    }))

  it.effect("one that holds the connection for long is told as that, and its end too, though others are behind it", () =>
    Effect.gen(function*() {
      const { advance, ask, connections: [connection], isWhole, learn, told } = started({
        sharing: "all",
        leakThreshold: 100
      })
      learn(a, write)
      const leaks = () => told.filter((line) => line.startsWith("leak") || line.startsWith("returned"))
      ask(a)
      ask(write)
      yield* turn
      advance(100)
      assert.deepStrictEqual(leaks(), [`leak ${a}`])
      advance(50)
      connection!.answer("a")
      assert.deepStrictEqual(leaks(), [`leak ${a}`, "returned after 150"])
      advance(99)
      assert.lengthOf(leaks(), 2)
      advance(1)
      assert.deepStrictEqual(leaks().slice(2), [`leak ${write}`])
      connection!.answer("w")
      assert.deepStrictEqual(leaks().slice(3), ["returned after 100"])
      isWhole()
    }))

  it.effect("a connection whose time is over takes no further ones, and is closed when those on it have ended", () =>
    Effect.gen(function*() {
      const { advance, ask, connections, learn, told } = started({ maxLifetime: 1000 })
      learn(a, b)
      advance(995)
      const first = ask(a)
      yield* turn
      advance(10)
      const second = ask(b)
      yield* turn
      assert.deepStrictEqual(connections[0]!.sent, [a])
      connections[0]!.answer("a")
      assert.include(told, "closed 1")
      connections[1]!.answer("b")
      assert.deepStrictEqual([first.value, second.value], ["a", "b"])
    }))

  for (
    const [name, settings] of [
      ["connections are asked whether they live before each use", { validateAfter: 0 }],
      ["each use has a new session", { resetOnReturn: "discard" }],
      ["it is switched off", { sharing: "off" }]
    ] as const
  ) {
    it(`none shares where ${name}`, () => {
      assert.isUndefined(hand(settings).context.sharing)
    })
  }
})
