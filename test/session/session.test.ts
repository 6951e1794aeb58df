/** The time of a borrower with its connection: what the pool asks of it, and its end. On a connection that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { canceled, handSession } from "../kit/handSession.js"

describe("a session", () => {
  it("is the borrower of its entry, under a number of its own", () => {
    const first = handSession()
    const second = handSession()
    assert.strictEqual(first.entry.borrower, first.session)
    assert.strictEqual(second.session.number, first.session.number + 1)
    assert.strictEqual(second.queue.number, second.session.number)
    assert.strictEqual(first.session.openedAt, 1000)
    assert.strictEqual(first.session.connection, first.connection)
    assert.strictEqual(first.session.root, first.session.innermost)
    assert.strictEqual(first.session.root.session, first.session)
    assert.isFalse(first.session.isOurs)
  })

  it("is kept on purpose while an effect in it says so", () => {
    const { session } = handSession()
    assert.isFalse(session.isKept)
    session.keeping++
    assert.isTrue(session.isKept)
    session.keeping--
    assert.isFalse(session.isKept)
  })

  it("is on its own entry, and on those of the sessions in which it was opened", () => {
    const outer = handSession()
    const inner = handSession({ inside: { engine: outer.engine, level: outer.session.root } })
    const innermost = handSession({ inside: { engine: outer.engine, level: inner.session.root } })
    const other = handSession({ inside: { engine: outer.engine, level: undefined } })
    const isOn = (one: typeof outer) => [outer, inner, innermost, other].map(({ entry }) => one.session.isOn(entry))
    assert.deepStrictEqual(isOn(outer), [true, false, false, false])
    assert.deepStrictEqual(isOn(innermost), [true, true, true, false])
    assert.deepStrictEqual(isOn(other), [false, false, false, true])
  })

  it("says what it does, for how long, and what its last statement was", () => {
    const { answer, ask, begun, connection, session } = handSession()
    assert.deepStrictEqual(session.describe(1250), {
      fiber: "#1",
      session: session.number,
      heldForMillis: 250,
      state: "idle"
    })
    begun()
    assert.deepInclude(session.describe(1250), { state: "idle in transaction", statement: "BEGIN" })
    connection.transaction = "failed"
    assert.deepInclude(session.describe(1250), { state: "idle in transaction" })
    connection.transaction = "open"
    ask(`SELECT ${"x".repeat(5000)}`)
    const { state, statement } = session.describe(1250)
    assert.strictEqual(state, "running")
    assert.isBelow(statement!.length, 1000)
    answer()
    const named = handSession({ origin: { span: "orders.list", fiber: "#7" } })
    assert.deepInclude(named.session.describe(1250), { span: "orders.list", fiber: "#7" })
    assert.strictEqual(named.session.name, `orders.list, session ${named.session.number}`)
    assert.strictEqual(session.name, `#1, session ${session.number}`)
  })
})

describe("the limit of an idle transaction", () => {
  const idling = { limits: { idleInTransactionTimeout: 100 } }

  it("rolls it back, and refuses what comes in it; the session goes on", () => {
    const { advance, answer, ask, begun, end, sent, session } = handSession(idling)
    begun()
    advance(100)
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK"])
    answer()
    assert.deepInclude(ask("SELECT 1").error, {
      phase: "IdleInTransaction",
      outcome: "RolledBack",
      limitMillis: 100
    })
    const asked = end("commit")
    assert.deepInclude(asked.error, { phase: "IdleInTransaction" })
    assert.isUndefined(session.root.closed)
    ask("SELECT 2")
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK", "SELECT 2"])
  })

  it("rolls back all of it, whatever is nested", () => {
    const { advance, begun, nested, session, sent } = handSession(idling)
    const transaction = begun()
    const savepoint = nested()
    advance(100)
    assert.deepStrictEqual(sent.slice(2), ["ROLLBACK"])
    assert.isDefined(transaction.closed)
    assert.isUndefined(savepoint.closed)
    assert.isUndefined(session.root.closed)
  })

  it("ends the session where the transaction was begun by hand: it has no level", () => {
    const { advance, answer, ask, session } = handSession(idling)
    ask("BEGIN")
    answer()
    advance(100)
    assert.deepInclude(session.root.closed, { phase: "IdleInTransaction" })
  })

  it("is that of what runs, where anything does", () => {
    const { advance, ask, begun, sent, session } = handSession(idling)
    begun()
    ask("SELECT 1", { limit: 50 })
    advance(50)
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel"])
    assert.isUndefined(session.innermost.closed)
  })

  it("costs the connection where it cannot be rolled back within two seconds", () => {
    const { advance, answer, begun, cancelled, fail, sent } = handSession(idling)
    begun()
    advance(100 + 1999)
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK"])
    advance(1)
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK", "cancel"])
    cancelled()
    fail(canceled)
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK", "cancel", "destroy"])
    const fine = handSession(idling)
    fine.begun()
    fine.advance(100)
    fine.answer()
    assert.deepStrictEqual(fine.sent, ["BEGIN", "ROLLBACK"])
    assert.throws(answer)
  })

  it("frees the write lock when it is rolled back", () => {
    const owner = handSession({ ...idling, capabilities: { singleWriter: true } })
    owner.begun()
    const other = handSession({ inside: { engine: owner.engine, level: undefined } })
    other.ask("INSERT 1")
    owner.advance(100)
    assert.deepStrictEqual(other.sent, [])
    owner.answer()
    assert.deepStrictEqual(other.sent, ["INSERT 1"])
    assert.isFalse(owner.queue.lock!.isHeld)
  })
})

describe("the end of a session", () => {
  it("releases the connection at once where there is nothing to be done", () => {
    const { ask, release, sent, session, told } = handSession()
    assert.strictEqual(release().count, 1)
    assert.deepStrictEqual(told, ["release 1"])
    assert.deepStrictEqual(sent, [])
    assert.deepInclude(ask("SELECT 1").error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
    assert.strictEqual(session.root.closed, "ended")
  })

  it("stops what runs, and ends the transaction, which belongs to it no more", () => {
    const { answer, ask, begun, cancelled, fail, release, sent, session, told } = handSession()
    begun()
    const asked = ask("SELECT 1")
    const released = release()
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel"])
    assert.isUndefined(told.find((text) => text.startsWith("release")))
    cancelled()
    fail(canceled)
    assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Closed", outcome: "RolledBack" })
    assert.include(asked.error!.message, "while a statement of it ran")
    assert.strictEqual(session.innermost, session.root)
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel", "reset rollback"])
    assert.strictEqual(released.count, 0)
    answer()
    assert.strictEqual(released.count, 1)
    assert.include(told, "release 1")
  })

  it("keeps the write lock until the transaction is ended, and frees it then", () => {
    const owner = handSession({ capabilities: { singleWriter: true } })
    owner.begun()
    const other = handSession({ inside: { engine: owner.engine, level: undefined } })
    other.ask("INSERT 1")
    owner.release()
    assert.deepStrictEqual(other.sent, [])
    owner.answer()
    assert.deepStrictEqual(other.sent, ["INSERT 1"])
  })

  it("is an effect only where something is to be waited for", async () => {
    const { begun, answer, session } = handSession()
    assert.isUndefined(handSession().session.close())
    begun()
    const closing = session.close()
    assert.isDefined(closing)
    let isOver = false
    const over = Effect.runPromise(Effect.zipRight(closing, Effect.sync(() => isOver = true)))
    await Promise.resolve()
    assert.isFalse(isOver)
    answer()
    await over
    // One that is over before it is waited for is not waited for.
    const early = handSession()
    early.begun()
    const closed = early.session.close()
    early.answer()
    await Effect.runPromise(closed!)
  })

  it("drops a connection that is lost", () => {
    const { connection, release, told } = handSession()
    connection.lost = true
    assert.strictEqual(release().count, 1)
    assert.deepStrictEqual(told, ["evict 1"])
  })
})
