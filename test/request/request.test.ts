/** One request on a connection: its limit, its cancel, its answer. On a connection that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ConnectionError, type DbError, QueryError, TimeoutError } from "../../src/DbError.js"
import type { AnyFiber } from "../../src/internal/fiber/Caller.js"
import { type Deadline, earlier } from "../../src/internal/request/Deadline.js"
import { PooledRequest } from "../../src/internal/request/PooledRequest.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import {
  type Asked,
  canceled,
  HandConnection,
  HandEngine,
  type HandOptions,
  handSession,
  requestOf
} from "../kit/handSession.js"

describe("a limit", () => {
  it("is its own, or that of the deadline around it, whichever comes first", () => {
    assert.isUndefined(earlier(1000, 0, undefined))
    assert.deepStrictEqual(earlier(1000, 200, undefined), { at: 1200, limit: 200 })
    const around = { at: 1200, limit: 900 }
    assert.strictEqual(earlier(1000, 0, around), around)
    assert.strictEqual(earlier(1000, 200, around), around)
    assert.deepStrictEqual(earlier(1000, 199, around), { at: 1199, limit: 199 })
    assert.strictEqual(earlier(1000, 0, { at: Infinity, limit: 3 })?.limit, 3)
  })

  it("stops the statement on the server, and names itself", () => {
    for (
      const [limit, deadline, at, named] of [
        [300, undefined, 300, 300],
        [300, { at: 1200, limit: 900 }, 200, 900],
        [200, { at: 1200, limit: 900 }, 200, 900],
        [199, { at: 1200, limit: 900 }, 199, 199],
        [0, { at: 1200, limit: 900 }, 200, 900]
      ] as const
    ) {
      const { advance, ask, cancelled, entry, fail, sent, told } = handSession()
      const asked = ask("SELECT 1", deadline === undefined ? { limit } : { limit, deadline })
      advance(at - 1)
      assert.deepStrictEqual(sent, ["SELECT 1"])
      advance(1)
      assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
      assert.isTrue(asked.request.isRunning && asked.request.isStopping)
      cancelled()
      fail(canceled)
      assert.deepInclude(asked.error, {
        _tag: "TimeoutError",
        phase: "Statement",
        outcome: "RolledBack",
        limitMillis: named,
        statement: "SELECT 1",
        cause: canceled
      })
      assert.deepStrictEqual(told, ["failed TimeoutError RolledBack"])
      assert.strictEqual(entry.deadline, Infinity)
      assert.isFalse(asked.request.isRunning || asked.request.isStopping || asked.request.isNew)
    }
  })

  it("that has passed already sends nothing", () => {
    for (const at of [999, 1000]) {
      const { ask, engine, sent } = handSession()
      const asked = ask("SELECT 1", { deadline: { at, limit: 70 } })
      assert.deepInclude(asked.error, { phase: "Statement", outcome: "NotSent", limitMillis: 70 })
      assert.deepStrictEqual(sent, [])
      assert.deepStrictEqual([...engine.timer.wakes], [])
    }
  })

  it("drops the connection where its cancel leads nowhere, two seconds later", () => {
    const { advance, ask, sent } = handSession()
    const asked = ask("INSERT", { limit: 300 })
    advance(300 + 1999)
    assert.deepStrictEqual(sent, ["INSERT", "cancel"])
    assert.strictEqual(asked.count, 0)
    advance(1)
    assert.deepStrictEqual(sent, ["INSERT", "cancel", "destroy"])
    assert.deepInclude(asked.error, { _tag: "TimeoutError", outcome: "Unknown", limitMillis: 300 })
    assert.strictEqual(asked.count, 1)
  })

  it("that the server kept is told as it was set, not as what was left of it", () => {
    const server = (limitMillis: number | undefined, phase: TimeoutError["phase"] = "Statement") =>
      new TimeoutError({ what: "slow", phase, outcome: "RolledBack", database: "orders", limitMillis })
    for (
      const [error, told] of [
        [server(250), 300],
        [server(300), 300],
        [server(350), 350],
        [server(undefined), undefined],
        [server(250, "Lock"), 250]
      ] as const
    ) {
      const { ask, fail } = handSession()
      const asked = ask("SELECT 1", { limit: 300 })
      fail(error)
      assert.strictEqual((asked.error as TimeoutError).limitMillis, told)
      assert.strictEqual(asked.error === error, told === error.limitMillis)
    }
    const { ask, fail } = handSession()
    const asked = ask("SELECT 1", { limit: 300 })
    fail(fakeErrors.unique)
    assert.strictEqual(asked.error, fakeErrors.unique)
  })

  it("is lifted by the answer, so that it stops nothing behind it", () => {
    const { advance, answer, ask, entry, sent } = handSession()
    ask("SELECT 1", { limit: 300 })
    assert.strictEqual(entry.deadline, 1300)
    answer()
    assert.strictEqual(entry.deadline, Infinity)
    ask("SELECT 2")
    advance(300)
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2"])
  })
})

describe("a statement that is stopped", () => {
  it("holds where its answer was faster, and ends when its cancel is known to be over", () => {
    const { answer, ask, cancelled, connection } = handSession()
    const asked = ask("SELECT 1")
    asked.request.stop(fakeErrors.unique)
    answer("rows")
    assert.strictEqual(asked.count, 0)
    cancelled()
    assert.deepInclude(asked, { count: 1, error: undefined, value: "rows" })
    assert.isFalse(connection.lost)
  })

  it("ends with its own failure where no other reason is given, which is none that is counted", () => {
    const { ask, cancelled, fail, told } = handSession()
    const asked = ask("SELECT 1")
    asked.request.stop(undefined)
    cancelled()
    fail(canceled)
    assert.strictEqual(asked.error, canceled)
    assert.deepStrictEqual(told, [])
  })

  it("ends with the reason, and with what became of it", () => {
    const reason = new ConnectionError({ what: "ended", reason: "Closed", outcome: "NotSent", database: "orders" })
    const unanswered = new QueryError({
      what: "lost",
      reason: "CommitUnknown",
      outcome: "Unknown",
      database: "orders"
    })
    const caused = new QueryError({ ...canceled, what: "x", reason: "Unknown", outcome: "RolledBack", cause: "why" })
    for (
      const [why, error, expected] of [
        [reason, canceled, { reason: "Closed", outcome: "RolledBack", cause: canceled }],
        [reason, caused, { reason: "Closed", outcome: "RolledBack", cause: "why" }],
        [fakeErrors.unique, canceled, { reason: "UniqueViolation" }],
        [reason, unanswered, { reason: "CommitUnknown" }],
        [reason, fakeErrors.lost, { reason: "Closed", outcome: "Unknown" }]
      ] as const
    ) {
      const { ask, cancelled, fail } = handSession()
      const asked = ask("SELECT 1")
      asked.request.stop(why)
      cancelled()
      fail(error)
      assert.deepInclude(asked.error, expected as Partial<DbError>)
    }
  })

  it("is stopped once, and not before it runs or after its end", () => {
    const { answer, ask, cancelled, fail, sent } = handSession()
    const first = ask("SELECT 1")
    const second = ask("SELECT 2")
    second.request.stop(undefined)
    assert.deepStrictEqual(sent, ["SELECT 1"])
    first.request.stop(undefined)
    first.request.stop(fakeErrors.unique)
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
    cancelled()
    fail(canceled)
    assert.strictEqual(first.error, canceled)
    answer()
    second.request.stop(undefined)
    second.request.onDeadline()
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel", "SELECT 2"])
  })

  it("costs the connection where its cancel could not be delivered, unless its answer is there", () => {
    for (const isAnswered of [true, false]) {
      const { answer, ask, cancelled, sent } = handSession()
      const asked = ask("SELECT 1")
      asked.request.stop(undefined)
      if (isAnswered) {
        answer()
      }
      cancelled(fakeErrors.refused)
      assert.deepStrictEqual(sent, isAnswered ? ["SELECT 1", "cancel"] : ["SELECT 1", "cancel", "destroy"])
      assert.strictEqual(asked.count, 1)
      assert.strictEqual(asked.error === undefined, isAnswered)
    }
  })

  it("tells all that wait for its end, in their order, when its fiber has the answer", () => {
    const order: Array<string> = []
    const { ask, cancelled, fail } = handSession()
    const asked = ask("SELECT 1", { then: () => order.push("answer") })
    asked.request.onSettled(() => order.push("first"))
    asked.request.onSettled(() => order.push("second"))
    asked.request.stop(undefined)
    fail(canceled)
    cancelled()
    assert.deepStrictEqual(order, ["answer", "first", "second"])
  })

  it("is taken back from the session in which it is", () => {
    const { answer, ask, sent } = handSession()
    ask("SELECT 1")
    let settled = 0
    ask("SELECT 2").request.withdraw(() => settled++)
    assert.strictEqual(settled, 1)
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1"])
  })

  it("is not hurried any more", () => {
    const { advance, ask, entry, sent } = handSession()
    const asked = ask("SELECT 1")
    asked.request.stop(undefined)
    advance(500)
    asked.request.hurry()
    assert.strictEqual(entry.deadline, 3000)
    const short = handSession()
    const bound = short.ask("SELECT 1", { limit: 100 })
    bound.request.hurry()
    assert.strictEqual(short.entry.deadline, 1100)
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
  })

  it("names the time of settling it where it was hurried", () => {
    const { advance, ask, cancelled, fail } = handSession()
    const asked = ask("SELECT 1", { limit: 9000 })
    asked.request.hurry()
    advance(2000)
    cancelled()
    fail(canceled)
    assert.deepInclude(asked.error, { limitMillis: 2000 })
  })
})

describe("a statement whose connection is dropped under it", () => {
  it("ends with the reason that is given, or with its own failure", () => {
    const reason = new ConnectionError({ what: "ended", reason: "Closed", outcome: "NotSent", database: "orders" })
    const given = handSession()
    const asked = given.ask("SELECT 1")
    asked.request.drop(reason)
    assert.deepInclude(asked.error, { reason: "Closed", outcome: "Unknown" })
    assert.deepStrictEqual(given.told, ["failed ConnectionError Unknown"])
    const bare = handSession()
    const other = bare.ask("SELECT 1")
    other.request.drop()
    assert.deepInclude(other.error, { reason: "Lost", outcome: "Unknown" })
    assert.strictEqual(other.count, 1)
  })

  it("ends although its driver does not answer, and does not end twice when it does", () => {
    const { ask, connection, sent } = handSession()
    Object.assign(connection, { destroy: () => sent.push("destroy") })
    const asked = ask("SELECT 1")
    asked.request.drop()
    assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Lost", outcome: "Unknown" })
    connection.running!.done(undefined, "late")
    assert.strictEqual(asked.count, 1)
  })

  it("is no interrupted one any more where a reason is given", () => {
    const { ask, told } = handSession()
    const asked = ask("SELECT 1")
    asked.request.stop(undefined)
    asked.request.drop(fakeErrors.refused)
    assert.deepInclude(asked.error, { reason: "Refused" })
    assert.lengthOf(told, 1)
  })

  it("hears of no cancel that comes later", () => {
    const { ask, cancelled, sent } = handSession()
    const asked = ask("SELECT 1")
    asked.request.stop(undefined)
    asked.request.drop()
    assert.strictEqual(asked.count, 1)
    cancelled(fakeErrors.refused)
    assert.strictEqual(asked.count, 1)
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel", "destroy"])
  })
})

describe("a driver that throws", () => {
  it("loses its connection, and its statement says why", () => {
    const { ask, connection, sent } = handSession()
    const thrown = new Error("thrown")
    Object.assign(connection, {
      execute: () => {
        throw thrown
      }
    })
    const asked = ask("SELECT 1")
    assert.deepInclude(asked.error, { _tag: "QueryError", outcome: "Unknown", cause: thrown, statement: "SELECT 1" })
    assert.deepStrictEqual(sent, ["destroy"])
  })

  it("behind its answer has not failed: what is done with the answer has", () => {
    const { answer, ask, connection } = handSession()
    assert.throws(() => {
      Object.assign(connection, {
        execute: (_: unknown, done: (error: undefined, value: unknown) => void) => {
          done(undefined, [])
          throw new Error("the program's")
        }
      })
      ask("SELECT 1")
    }, "the program's")
    assert.isFalse(connection.lost)
    assert.throws(answer)
  })
})

describe("what is counted of a request", () => {
  it("is how long it took, of statements alone, and each of several as its part of it", () => {
    const { advance, answer, ask, begun, engine, told } = handSession({ slowAt: 100 })
    begun()
    const asked = ask("SELECT 1")
    advance(99)
    answer()
    const several = ask("SELECT 2")
    several.request.statements = 3
    advance(300)
    answer()
    ask(undefined, { kind: "cursor" })
    advance(500)
    answer()
    assert.deepStrictEqual(engine.statements, [99, 100, 100, 100])
    assert.deepStrictEqual(told, ["slow SELECT 2 ok 100"])
    assert.isUndefined(asked.error)
    ask("SELECT 3", { kind: "open" })
    advance(200)
    engine.told.length = 0
    answer()
    assert.deepStrictEqual(told, ["slow SELECT 3 ok 200"])
  })

  it("is a failure, also of a cursor, but not of what the engine asks by itself", () => {
    const { advance, ask, begin, fail, told } = handSession({ slowAt: 100 })
    begin()
    fail(fakeErrors.unique, "idle")
    assert.deepStrictEqual(told, [])
    ask(undefined, { kind: "cursor" })
    fail(fakeErrors.unique)
    ask("SELECT 1")
    advance(100)
    fail(fakeErrors.unique)
    assert.deepStrictEqual(told, [
      "failed QueryError RolledBack",
      "failed QueryError RolledBack",
      "slow SELECT 1 failed 100"
    ])
  })
})

describe("what is counted of a refusal", () => {
  it("is one of the program's statement, and none of what the engine asks by itself", () => {
    const { ask, begin, release, told } = handSession()
    release()
    assert.isDefined(begin({ now: true }).error)
    assert.deepStrictEqual(told, ["release 1"])
    ask("SELECT 1")
    assert.deepStrictEqual(told, ["release 1", "failed ConnectionError NotSent"])
  })
})

describe("what a session leaves on its connection", () => {
  const left = (
    connectionState: Partial<Pick<HandConnection, "dirty" | "transaction" | "lost">>,
    options: HandOptions = {}
  ) => {
    const hand = handSession(options)
    Object.assign(hand.connection, connectionState)
    return { ...hand, released: hand.release() }
  }

  it("is cleaned where there is anything, as is configured", () => {
    assert.deepStrictEqual(left({ dirty: true }).sent, ["reset rollback"])
    assert.deepStrictEqual(left({ transaction: "open" }).sent, ["reset rollback"])
    assert.deepStrictEqual(left({}, { resetOnReturn: "discard" }).sent, ["reset discard"])
    for (const resetOnReturn of ["none", "rollback", "commit"] as const) {
      const { sent, told } = left(resetOnReturn === "none" ? { dirty: true, transaction: "open" } : {}, {
        resetOnReturn
      })
      assert.deepStrictEqual([sent, told], [[], ["release 1"]])
    }
  })

  it("keeps the borrower waiting where it is a transaction, with its locks; else not", () => {
    const dirty = left({ dirty: true })
    assert.strictEqual(dirty.released.count, 1)
    assert.deepStrictEqual(dirty.told, ["busy 1 for 2000"])
    dirty.answer()
    assert.strictEqual(dirty.released.count, 1)
    assert.deepStrictEqual(dirty.told, ["busy 1 for 2000", "release 1"])
    const open = left({ transaction: "open" })
    assert.strictEqual(open.released.count, 0)
    open.fail(fakeErrors.unique)
    assert.strictEqual(open.released.count, 1)
    assert.deepStrictEqual(open.told, ["busy 1 for 2000", "evict 1"])
  })
})

describe("a statement outside of a session", () => {
  const fiber: AnyFiber = Effect.runFork(Effect.never)

  const pooled = (
    text: string,
    { deadline, engine, idle = true, limit = 0, of = fiber, ...options }: HandOptions & {
      readonly engine?: HandEngine
      readonly deadline?: Deadline
      readonly limit?: number
      readonly idle?: boolean
      readonly of?: AnyFiber
    } = {}
  ) => {
    const on = engine ?? new HandEngine(options)
    const connection = new HandConnection()
    const entry = on.entry(connection)
    if (idle) {
      on.idle.push(entry)
    }
    const asked: Asked = { count: 0, error: undefined, value: undefined }
    const request = new PooledRequest(on.context, requestOf(text), limit, deadline, of, (error, value) => {
      asked.count++
      asked.error = error
      asked.value = value
    })
    request.start()
    return { engine: on, connection, entry, asked, request, told: on.told, sent: connection.sent }
  }

  it("takes an idle connection, and gives it back with the answer", () => {
    const { asked, connection, entry, request, sent, told } = pooled("SELECT 1")
    assert.deepInclude({ kind: request.kind, session: request.session }, { kind: "statement", session: undefined })
    assert.deepStrictEqual(sent, ["SELECT 1"])
    assert.strictEqual(entry.borrower, request)
    connection.answer("rows")
    assert.deepInclude(asked, { count: 1, error: undefined, value: "rows" })
    assert.deepStrictEqual(told, ["release 1"])
  })

  it("waits for one where none is idle, until its deadline", () => {
    const { asked, connection, engine, entry, told } = pooled("SELECT 1", {
      idle: false,
      deadline: { at: 1200, limit: 300 }
    })
    assert.strictEqual(engine.waiters[0]!.waitDeadline, 1200)
    engine.waiters.shift()!.onEntry(entry)
    connection.answer()
    assert.strictEqual(asked.count, 1)
    const refused = pooled("SELECT 1", { idle: false })
    refused.engine.waiters[0]!.onRefused(fakeErrors.refused)
    assert.strictEqual(refused.asked.error, fakeErrors.refused)
    assert.deepStrictEqual(refused.told, ["failed ConnectionError NotSent"])
    assert.deepStrictEqual(told, ["waited 0", "release 1"])
  })

  it("has the write lock until it has ended, where it writes", () => {
    const writing = { capabilities: { singleWriter: true } }
    const first = pooled("INSERT 1", { ...writing, idle: false })
    assert.deepStrictEqual(first.sent, [])
    first.engine.waiters.shift()!.onEntry(first.entry)
    const second = pooled("INSERT 2", { engine: first.engine, idle: false })
    assert.lengthOf(first.engine.waiters, 0)
    const reading = pooled("SELECT 1", { engine: first.engine })
    assert.deepStrictEqual(reading.sent, ["SELECT 1"])
    first.connection.answer()
    assert.lengthOf(first.engine.waiters, 1)
    assert.strictEqual(second.asked.count, 0)
    // Without a lock, writing waits for nothing.
    assert.deepStrictEqual(pooled("INSERT 1").sent, ["INSERT 1"])
  })

  it("begins and ends no transaction", () => {
    const { asked, sent, told } = pooled("BEGIN")
    assert.deepInclude(asked.error, { _tag: "QueryError", reason: "Parameter", outcome: "NotSent" })
    assert.deepStrictEqual([sent, told], [[], ["failed QueryError NotSent"]])
  })

  it("fails where it has left a transaction open, which is rolled back", () => {
    for (
      const [text, outcome] of [["BEGIN; INSERT", "RolledBack"], ["INSERT; BEGIN", "Unknown"]] as const
    ) {
      const { asked, connection, told } = pooled(text)
      connection.transaction = "open"
      connection.dirty = true
      const { done } = connection.running!
      connection.running = undefined
      done(undefined, "rows")
      assert.deepInclude(asked.error, { _tag: "QueryError", reason: "Parameter", outcome })
      assert.deepStrictEqual(told, [`failed QueryError ${outcome}`, "busy 1 for 2000"])
    }
  })

  it("does not where that is kept, is lost, or where it has failed anyway", () => {
    for (const resetOnReturn of ["commit", "none"] as const) {
      const { asked, connection } = pooled("INSERT 1", { resetOnReturn })
      connection.transaction = "open"
      connection.answer("rows")
      assert.deepInclude(asked, { error: undefined, value: "rows" })
    }
    const lost = pooled("INSERT 1")
    Object.assign(lost.connection, { transaction: "open", lost: true })
    lost.connection.answer()
    assert.isUndefined(lost.asked.error)
    assert.deepStrictEqual(lost.told, ["evict 1"])
    const failed = pooled("INSERT 1")
    failed.connection.dirty = true
    failed.connection.fail(fakeErrors.unique, "failed")
    assert.strictEqual(failed.asked.error, fakeErrors.unique)
    assert.deepStrictEqual(failed.told, ["failed QueryError RolledBack", "busy 1 for 2000"])
  })

  it("is told of where it leaves anything behind", () => {
    const { connection, told } = pooled("SET x")
    connection.dirty = true
    connection.answer()
    assert.deepStrictEqual(told, ["left behind by SET x", "busy 1 for 2000"])
  })

  it("that is taken back leaves its wait, is stopped where it runs, and is over where it has ended", () => {
    let settled = 0
    const waiting = pooled("SELECT 1", { idle: false })
    waiting.request.withdraw(() => settled++)
    assert.deepStrictEqual(waiting.told, ["withdraw"])
    assert.strictEqual(settled, 1)
    const running = pooled("SELECT 1")
    running.request.withdraw(() => settled++)
    assert.deepStrictEqual(running.sent, ["SELECT 1", "cancel"])
    running.connection.cancelled()
    assert.strictEqual(settled, 1)
    running.connection.fail(canceled)
    assert.strictEqual(settled, 2)
    assert.deepStrictEqual(running.told, ["release 1"])
    running.request.withdraw(() => settled++)
    assert.strictEqual(settled, 3)
    assert.deepStrictEqual(running.told, ["release 1"])
    const late = pooled("SELECT 1", { idle: false })
    late.engine.waiters.shift()!.onEntry(late.entry)
    late.connection.answer()
    late.request.withdraw(() => settled++)
    assert.strictEqual(settled, 4)
    assert.deepStrictEqual(late.told, ["waited 0", "release 1"])
    const refused = pooled("BEGIN")
    refused.request.withdraw(() => settled++)
    assert.strictEqual(settled, 5)
  })

  it("is stopped, and then dropped, where the pool does not wait any longer", () => {
    const cutBy = new TimeoutError({
      what: "cut",
      phase: "Close",
      outcome: "Unknown",
      database: "orders",
      limitMillis: 10
    })
    const { asked, request, sent } = pooled("SELECT 1")
    request.onCut(cutBy, "stop")
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
    request.onCut(cutBy, "drop")
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel", "destroy"])
    assert.deepInclude(asked.error, { phase: "Close", outcome: "Unknown" })
  })

  it("says what holds its connection", () => {
    const { request } = pooled("SELECT 1")
    const described = request.describe(1250)
    assert.deepInclude(described, { heldForMillis: 250, state: "running", statement: "SELECT 1" })
    assert.match(described.fiber, /^#\d+$/)
    assert.notProperty(described, "span")
    const spanned: AnyFiber = Effect.runFork(Effect.never.pipe(Effect.withSpan("orders.list")))
    assert.strictEqual(pooled("SELECT 1", { of: spanned }).request.describe(1000).span, "orders.list")
  })
})
