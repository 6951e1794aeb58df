/** The requests of a session: whose turn it is, what is refused, and what is stopped. On a connection that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TimeoutError } from "../../src/DbError.js"
import type { AnyFiber } from "../../src/internal/fiber/Caller.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { type Asked, canceled, handSession } from "../kit/handSession.js"

const counts = (...asked: ReadonlyArray<Asked>) => asked.map(({ count }) => count)

const cutBy = new TimeoutError({
  what: "cut",
  phase: "Close",
  outcome: "Unknown",
  database: "orders",
  limitMillis: 10
})

const writing = { capabilities: { singleWriter: true } }

/** A second session of the same engine. */
const beside = ({ engine }: ReturnType<typeof handSession>) => handSession({ inside: { engine, level: undefined } })

describe("turns", () => {
  it("are taken one after the other, first come, first served", () => {
    const { answer, ask, queue, sent } = handSession()
    const asked = ["SELECT 1", "SELECT 2", "SELECT 3"].map((text) => ask(text))
    assert.deepStrictEqual(sent, ["SELECT 1"])
    assert.isTrue(queue.isRunning)
    answer("one")
    assert.deepInclude(asked[0], { count: 1, error: undefined, value: "one" })
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2"])
    answer()
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2", "SELECT 3"])
    assert.deepStrictEqual(counts(...asked), [1, 1, 1])
    assert.isFalse(queue.isRunning)
  })

  it("belong to the innermost level: those of the levels around it wait for its end", () => {
    const { answer, ask, begun, end, sent, session } = handSession()
    begun()
    ask("SELECT 1", { level: session.root })
    ask("SELECT 2")
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 2"])
    ask("SELECT 3")
    ask("SELECT 4", { level: session.root })
    answer()
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 2", "SELECT 3"])
    answer()
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 2", "SELECT 3"])
    end("commit")
    answer()
    answer()
    answer()
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 2", "SELECT 3", "COMMIT", "SELECT 1", "SELECT 4"])
  })

  it("go on behind a statement that is refused when its turn has come", () => {
    const { answer, ask, begun, queue, sent } = handSession(writing)
    begun({ readOnly: true })
    ask("SELECT 1")
    const refused = ask("INSERT 2")
    ask("SELECT 3")
    answer()
    assert.deepInclude(refused.error, { _tag: "QueryError", reason: "ReadOnly", outcome: "NotSent" })
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "SELECT 3"])
    assert.notStrictEqual(queue.lastStatement, "INSERT 2")
    answer()
    const last = ask("INSERT 4")
    assert.deepInclude(last.error, { reason: "ReadOnly" })
    assert.isFalse(queue.isRunning)
  })

  it("are refused in a level that has ended", () => {
    const { answer, ask, begun, end, sent, told } = handSession()
    const level = begun()
    end("commit")
    answer()
    const late = ask("SELECT 1", { level })
    assert.deepInclude(late.error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
    assert.deepStrictEqual(told, ["failed ConnectionError NotSent"])
  })

  it("pass to what an answer has begun before what has waited longer", () => {
    const { answer, ask, sent } = handSession()
    let inner: Asked | undefined = undefined
    ask("SELECT 1", { then: () => inner = ask("SELECT 3") })
    ask("SELECT 2")
    answer()
    // It is behind in the queue, and nothing runs twice.
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2"])
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2", "SELECT 3"])
    answer()
    assert.deepStrictEqual(counts(inner!), [1])
  })

  it("remember the last statement, and tell each that is the program's", () => {
    const { answer, ask, begun, queue } = handSession()
    const texts: Array<string> = []
    assert.isUndefined(queue.lastStatement)
    ask("SELECT 1")
    answer()
    queue.onText = (text) => texts.push(text)
    begun()
    assert.strictEqual(queue.lastStatement, "BEGIN")
    ask("SELECT 2")
    ask("SELECT 3")
    assert.deepStrictEqual(texts, ["SELECT 2"])
    assert.strictEqual(queue.lastStatement, "SELECT 2")
    answer()
    answer()
    // Rows have no text.
    ask(undefined, { kind: "cursor" })
    assert.strictEqual(queue.lastStatement, "SELECT 3")
    assert.deepStrictEqual(texts, ["SELECT 2", "SELECT 3"])
  })

  it("lift the limit of an idle transaction while they run", () => {
    const { advance, answer, ask, begun, entry, sent } = handSession({ limits: { idleInTransactionTimeout: 100 } })
    begun()
    assert.strictEqual(entry.deadline, 1100)
    advance(99)
    ask("SELECT 1")
    assert.strictEqual(entry.deadline, Infinity)
    advance(500)
    answer()
    assert.strictEqual(entry.deadline, 1699)
    advance(99)
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1"])
    advance(1)
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "ROLLBACK"])
  })

  it("know of no idle transaction where there is no limit, or no transaction", () => {
    const unlimited = handSession()
    unlimited.begun()
    assert.strictEqual(unlimited.entry.deadline, Infinity)
    assert.strictEqual(unlimited.engine.timer.wakes.size, 0)
    const outside = handSession({ limits: { idleInTransactionTimeout: 100 } })
    outside.ask("SELECT 1")
    outside.answer()
    assert.strictEqual(outside.entry.deadline, Infinity)
  })
})

describe("the fiber that holds a session as a resource", () => {
  const fiber = () => Effect.runFork(Effect.never) as AnyFiber

  it("is forgotten when another one uses the session", () => {
    const { ask, queue, session } = handSession()
    const [one, other] = [fiber(), fiber()]
    queue.reservedBy = one
    ask("SELECT 1", { fiber: one })
    assert.isTrue(session.isHeldBy(one))
    assert.isFalse(session.isHeldBy(other))
    // What the engine asks by itself is no use by another.
    ask("SELECT 2")
    assert.strictEqual(queue.reservedBy, one)
    ask("SELECT 3", { fiber: other })
    assert.isUndefined(queue.reservedBy)
    assert.isFalse(session.isHeldBy(one))
  })

  it("is not alone where it has children that could give it back", () => {
    const { queue, session } = handSession()
    const parent: AnyFiber = Effect.runFork(Effect.zipRight(Effect.fork(Effect.never), Effect.never))
    queue.reservedBy = parent
    assert.isFalse(session.isHeldBy(parent))
  })
})

describe("the deadline of a statement that waits for its turn", () => {
  it("refuses it when it comes, and the others go on", () => {
    const { advance, answer, ask, sent, session } = handSession()
    ask("SELECT 1")
    const long = ask("SELECT 2", { deadline: { at: 1300, limit: 300 } })
    const short = ask("SELECT 3", { deadline: { at: 1100, limit: 100 } })
    const free = ask("SELECT 4")
    advance(99)
    assert.deepStrictEqual(counts(short, long, free), [0, 0, 0])
    advance(1)
    assert.deepStrictEqual(counts(short, long, free), [1, 0, 0])
    assert.deepInclude(short.error, {
      _tag: "TimeoutError",
      phase: "Acquire",
      outcome: "NotSent",
      limitMillis: 100,
      statement: "SELECT 3"
    })
    const { holders } = short.error as TimeoutError
    assert.lengthOf(holders!, 1)
    assert.deepInclude(holders![0], {
      session: session.number,
      state: "running",
      statement: "SELECT 1",
      heldForMillis: 100
    })
    advance(200)
    assert.deepStrictEqual(counts(short, long, free), [1, 1, 0])
    answer()
    answer()
    assert.deepStrictEqual(counts(short, long, free), [1, 1, 1])
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 4"])
  })

  it("is told by the session in which it waits", () => {
    const one = handSession()
    const other = beside(one)
    const asked = [one, other].map(({ ask }) => {
      ask("SELECT 1")
      return ask("SELECT 2", { deadline: { at: 1300, limit: 300 } })
    })
    one.advance(300)
    const holders = asked.map(({ error }) => (error as TimeoutError).holders![0]!.session)
    assert.deepStrictEqual(holders, [one.session.number, other.session.number])
  })

  it("is asked for once, and only where it comes before that of another", () => {
    const { ask, engine, entry } = handSession()
    ask("SELECT 1", { deadline: { at: 1500, limit: 500 } })
    // It runs: that is no wait for a turn.
    assert.strictEqual(entry.queueDeadline, Infinity)
    engine.timer.wakes.clear()
    ask("SELECT 2", { deadline: { at: 1300, limit: 300 } })
    assert.deepStrictEqual([...engine.timer.wakes], [1300])
    engine.timer.wakes.clear()
    ask("SELECT 3", { deadline: { at: 1300, limit: 300 } })
    ask("SELECT 4", { deadline: { at: 1400, limit: 400 } })
    assert.deepStrictEqual([...engine.timer.wakes], [])
    assert.strictEqual(entry.queueDeadline, 1300)
  })

  it("is none of a statement that has been answered at once", () => {
    const { ask, connection, entry } = handSession()
    Object.assign(connection, {
      execute: (_: unknown, done: (error: undefined, value: unknown) => void) => done(undefined, [])
    })
    const asked = ask("SELECT 1", { deadline: { at: 1500, limit: 500 } })
    assert.strictEqual(asked.count, 1)
    assert.strictEqual(entry.queueDeadline, Infinity)
  })
})

describe("a statement that is taken back", () => {
  it("is not sent where it waits", () => {
    const { answer, ask, queue, sent } = handSession()
    ask("SELECT 1")
    const second = ask("SELECT 2")
    const third = ask("SELECT 3")
    let settled = 0
    queue.withdraw(second.request, () => settled++)
    assert.strictEqual(settled, 1)
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 3"])
    answer()
    assert.deepStrictEqual(counts(second, third), [0, 1])
  })

  it("is stopped where it runs, and over when nothing of it is left", () => {
    const { ask, cancelled, fail, queue, sent, told } = handSession()
    const asked = ask("SELECT 1")
    const next = ask("SELECT 2")
    let settled = 0
    queue.withdraw(asked.request, () => settled++)
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
    fail(canceled)
    assert.strictEqual(settled, 0)
    cancelled()
    assert.strictEqual(settled, 1)
    assert.deepStrictEqual(counts(asked, next), [1, 0])
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel", "SELECT 2"])
    // What an interrupt has stopped has not failed.
    assert.deepStrictEqual(told, [])
  })

  it("is over where it has ended", () => {
    const { answer, ask, queue, sent } = handSession()
    const asked = ask("SELECT 1")
    ask("SELECT 2")
    answer()
    let settled = 0
    queue.withdraw(asked.request, () => settled++)
    assert.strictEqual(settled, 1)
    assert.deepStrictEqual(sent, ["SELECT 1", "SELECT 2"])
  })

  it("leaves the write lock to others where it waits for that, and the next goes on", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { ask, queue, sent } = beside(owner)
    const asked = ask("INSERT 2")
    const next = ask("SELECT 3")
    assert.deepStrictEqual(sent, [])
    let settled = 0
    queue.withdraw(asked.request, () => settled++)
    assert.strictEqual(settled, 1)
    assert.deepStrictEqual(sent, ["SELECT 3"])
    owner.answer()
    assert.deepStrictEqual(counts(asked, next), [0, 0])
    assert.isFalse(queue.lock!.isHeld)
    queue.withdraw(next.request, () => settled++)
    assert.deepStrictEqual(sent, ["SELECT 3", "cancel"])
  })

  it("is stopped where it has waited for the write lock, and runs", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { ask, queue, sent } = beside(owner)
    const asked = ask("INSERT 2")
    owner.answer()
    queue.withdraw(asked.request, () => {})
    assert.deepStrictEqual(sent, ["INSERT 2", "cancel"])
    assert.isTrue(queue.lock!.isHeld)
  })
})

describe("the write lock", () => {
  it("is asked for by what writes outside of a transaction, and given back behind it", () => {
    const owner = handSession(writing)
    const { answer, ask, queue, sent } = beside(owner)
    ask("SELECT 1")
    answer()
    assert.isUndefined(queue.lock)
    owner.ask("INSERT 1")
    assert.isTrue(owner.queue.lock!.isHeld)
    const writes = ask("INSERT 2")
    assert.isTrue(queue.isRunning)
    ask("SELECT 3")
    assert.deepStrictEqual(sent, ["SELECT 1"])
    owner.answer()
    assert.isFalse(owner.queue.lock!.isHeld)
    assert.deepStrictEqual(sent, ["SELECT 1", "INSERT 2"])
    answer()
    assert.deepStrictEqual(counts(writes), [1])
    assert.deepStrictEqual(sent, ["SELECT 1", "INSERT 2", "SELECT 3"])
    assert.isFalse(queue.lock!.isHeld)
  })

  it("is there on a database with one writer only", () => {
    const { ask, queue, sent } = handSession()
    ask("INSERT 1")
    assert.deepStrictEqual(sent, ["INSERT 1"])
    assert.isUndefined(queue.lock)
  })

  it("is kept as long as a transaction is open, and asked for once", () => {
    const owner = handSession(writing)
    const { answer, ask, begun, end, queue, sent } = owner
    begun()
    assert.isTrue(queue.lock!.isHeld)
    const other = beside(owner)
    other.ask("INSERT 2")
    ask("INSERT 1")
    answer()
    assert.deepStrictEqual(other.sent, [])
    end("commit")
    answer()
    assert.deepStrictEqual(other.sent, ["INSERT 2"])
    // Of the session that had it nothing waits.
    ask("INSERT 3")
    assert.deepStrictEqual(sent, ["BEGIN", "INSERT 1", "COMMIT"])
    other.answer()
    assert.strictEqual(sent.at(-1), "INSERT 3")
  })

  it("is kept between the statements of a transaction that is typed by hand", () => {
    const owner = handSession(writing)
    const { answer, ask, queue, sent } = owner
    ask("BEGIN")
    answer()
    assert.isTrue(queue.lock!.isHeld)
    const other = beside(owner)
    other.ask("INSERT 2")
    ask("INSERT 1")
    assert.deepStrictEqual(sent, ["BEGIN", "INSERT 1"])
    answer()
    ask("COMMIT")
    answer()
    assert.isFalse(queue.lock!.isHeld)
    assert.deepStrictEqual(other.sent, ["INSERT 2"])
  })

  it("is not asked for by a transaction that only reads, nor by what has no text", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { answer, begin, queue, sent, state } = beside(owner)
    state.isReadOnly = true
    begin({ begin: { readOnly: true }, now: true })
    assert.deepStrictEqual(sent, ["BEGIN"])
    answer()
    assert.isUndefined(queue.lock)
    const reader = beside(owner)
    const cursor = reader.ask(undefined, { kind: "cursor" })
    assert.strictEqual(cursor.count, 0)
    assert.isUndefined(reader.queue.lock)
  })

  it("is not asked for on a connection that is in a transaction: that has begun with it", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { ask, connection, sent } = beside(owner)
    connection.transaction = "open"
    ask("INSERT 2")
    assert.deepStrictEqual(sent, ["INSERT 2"])
  })

  it("is waited for as long as is configured, or as the statement says, or until its deadline", () => {
    for (
      const [options, millis] of [
        [{}, 300],
        [{ lockTimeout: 500 }, 500],
        [{ lockTimeout: 500, deadline: { at: 1200, limit: 200 } }, 200]
      ] as const
    ) {
      const owner = handSession({ ...writing, limits: { lockTimeout: 300 } })
      owner.ask("INSERT 1")
      const { advance, ask, queue, sent } = beside(owner)
      const asked = ask("INSERT 2", options)
      const next = ask("SELECT 3")
      advance(millis - 1)
      assert.strictEqual(asked.count, 0)
      advance(1)
      assert.deepInclude(asked.error, {
        _tag: "TimeoutError",
        phase: "Lock",
        outcome: "NotSent",
        limitMillis: millis
      })
      assert.deepStrictEqual(sent, ["SELECT 3"])
      assert.strictEqual(next.count, 0)
      assert.isFalse(queue.lock!.isHeld)
      // It waits no more.
      owner.answer()
      assert.isFalse(queue.lock!.isHeld)
    }
  })

  it("is asked for again behind a wait that has failed", () => {
    const owner = handSession({ ...writing, limits: { lockTimeout: 300 } })
    owner.ask("INSERT 1")
    const { advance, answer, ask, sent } = beside(owner)
    ask("INSERT 2")
    advance(300)
    const again = ask("INSERT 3")
    assert.deepStrictEqual(sent, [])
    owner.answer()
    assert.deepStrictEqual(sent, ["INSERT 3"])
    answer()
    assert.strictEqual(again.count, 1)
  })

  it("is left by a wait when the session ends, and the statement says why", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { ask, queue, release, sent, told } = beside(owner)
    const asked = ask("INSERT 2")
    const released = release()
    assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
    assert.include(asked.error!.message, "before a statement of it had its turn")
    assert.strictEqual(released.count, 1)
    assert.include(told, "release 2")
    owner.answer()
    assert.isFalse(queue.lock!.isHeld)
    assert.deepStrictEqual(sent, [])
  })

  it("that was taken before the connection came goes over to the session, which gives it back at its end", () => {
    const { begin, connection, engine, queue, release, sent } = handSession(writing)
    const wait = { ...writer(), onLock: () => {} }
    engine.writeLock!.acquire(wait)
    queue.inheritLock(wait)
    assert.isTrue(queue.lock!.isHeld)
    begin({ now: true })
    assert.deepStrictEqual(sent, ["BEGIN"])
    connection.answer()
    const other = handSession({ inside: { engine, level: undefined } })
    other.ask("INSERT 2")
    assert.deepStrictEqual(other.sent, [])
    release()
    connection.answer()
    assert.deepStrictEqual(other.sent, ["INSERT 2"])
  })

  it("is kept to the end of a transaction whose BEGIN was refused", () => {
    const { ask, begin, end, engine, fail, queue } = handSession({
      capabilities: { singleWriter: true, pipelinedBegin: true }
    })
    const wait = { ...writer(), onLock: () => {} }
    engine.writeLock!.acquire(wait)
    queue.inheritLock(wait)
    begin()
    ask("INSERT")
    fail(fakeErrors.unique, "idle")
    assert.isTrue(queue.lock!.isHeld)
    assert.strictEqual(end("rollback").count, 1)
    assert.isFalse(queue.lock!.isHeld)
  })

  it("that comes when nothing waits for it begins nothing", () => {
    const { queue, sent } = handSession(writing)
    queue.onLock()
    assert.deepStrictEqual(sent, [])
    assert.isFalse(queue.isRunning)
  })

  it("is named by its session, and is a deadlock of the transaction it was opened in", () => {
    const owner = handSession(writing)
    owner.begun()
    assert.strictEqual(owner.queue.lock!.name, owner.session.name)
    assert.match(owner.session.name, /^#1, session \d+$/)
    const inner = handSession({ inside: { engine: owner.engine, level: owner.session.innermost } })
    assert.include(inner.ask("INSERT 2").error!.message, "can never become free")
    // Two sessions deep it is the same.
    const deeper = handSession({ inside: { engine: owner.engine, level: inner.session.root } })
    assert.include(deeper.ask("INSERT 2").error!.message, "can never become free")
    // In the session, but not in its transaction, it can become free.
    const besides = handSession({ inside: { engine: owner.engine, level: owner.session.root } })
    assert.strictEqual(besides.ask("INSERT 2").count, 0)
    // The transaction of another session has nothing to do with it.
    const reading = beside(owner)
    reading.state.isReadOnly = true
    const readers = reading.begin({ begin: { readOnly: true }, now: true })
    reading.answer()
    const within = handSession({ inside: { engine: owner.engine, level: readers.level! } })
    assert.strictEqual(within.ask("INSERT 2").count, 0)
  })
})

const writer = () => ({
  links: undefined,
  lockDeadline: Infinity,
  lockLimit: 0,
  isInside: () => false,
  name: "wait",
  onLockRefused: () => {}
})

describe("a text of the engine's own", () => {
  it("runs before everything that waits, and its limit is that of statements", () => {
    const { advance, answer, ask, connection, queue, sent, session } = handSession({
      limits: { statementTimeout: 300 }
    })
    let told: unknown = undefined
    queue.runNow(session.root, "SET x", (error, value) => told = error ?? value)
    ask("SELECT 1")
    assert.deepStrictEqual(sent, ["SET x"])
    assert.deepInclude(connection.requests[0], {
      text: "SET x",
      params: [],
      mode: "values",
      prepare: true,
      safeIntegers: false
    })
    answer("values")
    assert.strictEqual(told, "values")
    assert.deepStrictEqual(sent, ["SET x", "SELECT 1"])
    answer()
    queue.runNow(session.root, "SET y", () => {})
    advance(300)
    assert.strictEqual(sent.at(-1), "cancel")
  })

  it("is not sent on a connection that is lost", () => {
    const { connection, queue, sent, session } = handSession()
    connection.lost = true
    let error: unknown = undefined
    queue.runNow(session.root, "SET x", (failed) => error = failed)
    assert.deepInclude(error, { _tag: "ConnectionError", reason: "Lost" })
    assert.deepStrictEqual(sent, [])
  })

  it("is bound by the time of an end in haste, but for one with a limit of its own", () => {
    const { advance, queue, sent, session } = handSession()
    queue.hurry()
    assert.deepStrictEqual(queue.endBy, { at: 3000, limit: 2000 })
    queue.runNow(session.root, "SET x", () => {}, { deadline: { at: 9000, limit: 8000 } })
    advance(1999)
    assert.deepStrictEqual(sent, ["SET x"])
    advance(1)
    assert.deepStrictEqual(sent, ["SET x", "cancel"])
    const own = handSession()
    own.queue.endBy = { at: 1001, limit: 1 }
    own.queue.runNow(own.session.root, "SET x", () => {}, { limit: 50 })
    own.advance(49)
    assert.deepStrictEqual(own.sent, ["SET x"])
    own.advance(1)
    assert.deepStrictEqual(own.sent, ["SET x", "cancel"])
    const calm = handSession()
    calm.queue.runNow(calm.session.root, "SET x", () => {}, { deadline: { at: 1100, limit: 100 } })
    calm.advance(100)
    assert.deepStrictEqual(calm.sent, ["SET x", "cancel"])
  })

  it("that runs is bound from then on, too", () => {
    const { advance, begun, end, queue, sent } = handSession()
    begun()
    end("commit")
    advance(5000)
    queue.hurry()
    advance(1999)
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
    advance(1)
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT", "cancel"])
  })
})

describe("the end of what runs", () => {
  it("is waited for only where it is being stopped, and then its fiber goes first", async () => {
    const { ask, cancelled, fail, queue } = handSession()
    await Effect.runPromise(queue.settled)
    const asked = ask("SELECT 1")
    await Effect.runPromise(queue.settled)
    asked.request.stop(undefined)
    const order: Array<string> = []
    const waiting = Effect.runFork(Effect.zipRight(queue.settled, Effect.sync(() => order.push("settled"))))
    cancelled()
    assert.deepStrictEqual(order, [])
    Effect.runFork(Effect.sync(() => order.push("statement")))
    fail(canceled)
    await Effect.runPromise(Fiber.join(waiting))
    assert.deepStrictEqual(order, ["statement", "settled"])
  })

  it("comes to a control text by itself, and to a statement with why", () => {
    const { answer, ask, begin, cancelled, fail, queue, sent } = handSession()
    let idle = 0
    queue.whenIdle(undefined, false, Infinity, () => idle++)
    assert.strictEqual(idle, 1)
    const beginning = begin()
    queue.whenIdle(undefined, false, Infinity, () => idle++)
    assert.deepStrictEqual(sent, ["BEGIN", "cancel"])
    assert.strictEqual(idle, 1)
    cancelled()
    fail(canceled, "idle")
    assert.strictEqual(idle, 2)
    // As the database says it: nothing of dblive's has stopped it.
    assert.strictEqual(beginning.error, canceled)
    const asked = ask("SELECT 1")
    queue.whenIdle(undefined, false, Infinity, () => idle++)
    cancelled()
    answer("in time")
    assert.deepInclude(asked, { count: 1, error: undefined, value: "in time" })
    assert.strictEqual(idle, 3)
  })

  it("is not a nested level's to stop, where it is the end of the level around that", () => {
    const { answer, begun, end, nested, sent, session } = handSession()
    const outer = begun()
    const inner = nested()
    const committed = end("commit", {}, outer)
    const ended = end("rollback", {}, inner)
    answer()
    assert.deepStrictEqual(sent.slice(-2), ["ROLLBACK TO dblive_1", "COMMIT"])
    answer()
    assert.deepStrictEqual([committed.count, committed.error, ended.count, ended.error], [1, undefined, 1, undefined])
    assert.strictEqual(session.innermost, session.root)
  })

  it("of a nested level is bounded, where the level around that is undone", () => {
    const { advance, begun, cancelled, connection, end, nested, sent } = handSession()
    const outer = begun()
    const released = end("commit", {}, nested())
    const undone = end("rollback", {}, outer)
    advance(1999)
    assert.deepStrictEqual(sent.slice(-1), ["RELEASE dblive_1"])
    advance(1)
    assert.deepStrictEqual(sent.slice(-1), ["cancel"])
    advance(2000)
    assert.isTrue(connection.lost)
    cancelled()
    assert.deepStrictEqual([released.count, undone.count], [1, 1])
  })

  it("is told to each that has asked for it as it was, and is bounded only by the one that has begun it", () => {
    const { advance, answer, begun, connection, sent, session } = handSession()
    const level = begun()
    const told: Array<readonly [unknown, boolean]> = []
    session.end(level, "commit", (...how) => told.push(how))
    const hurry = session.end(level, "commit", (...how) => told.push(how))
    assert.deepStrictEqual(sent.slice(-1), ["COMMIT"])
    hurry()
    advance(10_000)
    assert.isFalse(connection.lost)
    answer()
    assert.deepStrictEqual(told, [[undefined, false], [undefined, true]])
  })

  it("of a level comes once, whoever asks: what follows is not taken for it", () => {
    const { answer, ask, begin, begun, cancelled, end, sent, session } = handSession()
    const level = begun()
    ask("SELECT 1")
    const ends = [end("commit", {}, level), end("commit", {}, level)]
    cancelled()
    answer()
    assert.deepStrictEqual(sent.slice(-2), ["cancel", "COMMIT"])
    answer()
    assert.deepStrictEqual(ends.map(({ count }) => count), [1, 1])
    const next = begin({ now: true })
    answer()
    assert.strictEqual(session.innermost, next.level)
    assert.deepStrictEqual(sent.filter((text) => text === "COMMIT").length, 1)
  })

  it("is waited for again where something runs in its place", () => {
    const { ask, begun, cancelled, end, fail, queue, sent } = handSession()
    begun()
    ask("SELECT 1")
    end("rollback")
    let idle = 0
    queue.whenIdle(undefined, false, Infinity, () => idle++)
    cancelled()
    fail(canceled)
    // The end of the transaction came first.
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel", "ROLLBACK", "cancel"])
    assert.strictEqual(idle, 0)
    cancelled()
    fail(canceled, "idle")
    assert.strictEqual(idle, 1)
  })

  it("of a transaction by a text closes it for what waits in it", () => {
    const { ask, begun, connection, session } = handSession()
    begun()
    const ends = ask("COMMIT")
    const waiting = ask("SELECT 2")
    const outside = ask("SELECT 3", { level: session.root })
    connection.answer()
    assert.strictEqual(ends.error, undefined)
    assert.deepInclude(waiting.error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "Unknown" })
    assert.strictEqual(outside.count, 0)
  })
})

describe("the closing of a level", () => {
  it("keeps the first reason, and refuses with it what waits in the level or in one that is nested", () => {
    const { ask, begun, nested, queue, session } = handSession()
    const level = begun()
    nested()
    ask("SELECT 0")
    const inner = ask("SELECT 1")
    const outer = ask("SELECT 2", { level })
    const outside = ask("SELECT 3", { level: session.root })
    queue.closeLevel(level, cutBy)
    assert.deepStrictEqual([inner.error, outer.error, outside.error], [cutBy, cutBy, undefined])
    queue.closeLevel(level, "ended")
    assert.strictEqual(level.closed, cutBy)
    assert.deepStrictEqual(counts(inner, outer, outside), [1, 1, 0])
  })

  it("that has ended says so of the level that was ended", () => {
    const { ask, begun, nested, queue } = handSession()
    const level = begun()
    nested()
    ask("SELECT 0")
    const inner = ask("SELECT 1")
    queue.closeLevel(level, "ended")
    assert.include(inner.error!.message, "this transaction (session")
    assert.include(inner.error!.message, "before a statement of it had its turn")
  })
})

describe("the pool that does not wait any longer", () => {
  it("stops what runs, refuses what waits, and has the connection back when it has stopped", () => {
    const { ask, cancelled, fail, sent, session, told } = handSession()
    const running = ask("SELECT 1")
    const waiting = ask("SELECT 2")
    session.onCut(cutBy, "stop")
    assert.deepInclude(waiting.error, { phase: "Close", outcome: "NotSent" })
    assert.deepStrictEqual(sent, ["SELECT 1", "cancel"])
    assert.notInclude(told, "evict 1")
    cancelled()
    fail(canceled)
    assert.deepInclude(running.error, { phase: "Close", outcome: "RolledBack" })
    assert.include(told, "evict 1")
    assert.deepInclude(ask("SELECT 3").error, { phase: "Close", outcome: "NotSent" })
  })

  it("has it back at once where nothing runs", () => {
    const { begun, connection, session, told } = handSession()
    begun()
    session.onCut(cutBy, "stop")
    assert.deepStrictEqual(told, ["evict 1"])
    assert.deepInclude(session.root.closed, { phase: "Close", outcome: "RolledBack" })
    assert.strictEqual(connection.transaction, "open")
  })

  it("has it back where only the write lock was waited for", () => {
    const owner = handSession(writing)
    owner.ask("INSERT 1")
    const { ask, queue, sent, session, told } = beside(owner)
    const asked = ask("INSERT 2")
    session.onCut(cutBy, "stop")
    assert.deepInclude(asked.error, { phase: "Close", outcome: "NotSent" })
    assert.include(told, "evict 2")
    owner.answer()
    assert.isFalse(queue.lock!.isHeld)
    assert.deepStrictEqual(sent, [])
  })

  it("drops what does not even stop", () => {
    const { ask, sent, session } = handSession()
    session.onCut(cutBy, "drop")
    assert.deepStrictEqual(sent, [])
    const asked = ask("SELECT 1")
    session.onCut(cutBy, "drop")
    assert.deepStrictEqual(sent, ["SELECT 1", "destroy"])
    assert.deepInclude(asked.error, { phase: "Close", outcome: "Unknown" })
  })

  it("has nothing back of a session that was not cut", () => {
    const { answer, ask, told } = handSession()
    ask("SELECT 1")
    answer()
    assert.deepStrictEqual(told, [])
  })
})
