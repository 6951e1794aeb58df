/** How the transaction of a session stands, and why it cannot go on: by its levels and by how its statements end. */
import { assert, describe, it } from "@effect/vitest"
import type { DbError } from "../../src/DbError.js"
import type { BeginOptions, Connection, Driver } from "../../src/driver/Driver.js"
import type { EngineContext } from "../../src/internal/request/Request.js"
import type { SessionRequest } from "../../src/internal/request/Request.js"
import type { TransactionLevel } from "../../src/internal/session/TransactionLevel.js"
import { TransactionState } from "../../src/internal/session/TransactionState.js"
import { fakeErrors } from "../kit/fakeErrors.js"

type Commits = ReturnType<NonNullable<Driver["commitsImplicitly"]>>

const make = (
  { commits, singleWriter = false }: { readonly commits?: Commits | undefined; readonly singleWriter?: boolean } = {}
) => {
  const connection = { transaction: "idle", lost: false, writes: (text: string) => text.startsWith("INSERT") }
  const engine = {
    name: "orders",
    driver: {
      dialect: "mysql",
      capabilities: { singleWriter },
      ...(commits === undefined ? {} : { commitsImplicitly: () => commits })
    }
  }
  const state = new TransactionState<string>(
    "the session",
    7,
    // What is read of the engine and of its connection.
    engine as unknown as EngineContext,
    connection as unknown as Connection
  )
  /** Begins a level, as the session does. */
  const enter = (options?: BeginOptions, followsCommits?: boolean) => {
    const level = state.newLevel(state.innermost, options, followsCommits)
    state.enter(level)
    if (level.kind === "transaction") {
      state.isBegun = true
      connection.transaction = "open"
    }
    return level
  }
  const request = (text: string | undefined, more: Partial<SessionRequest> = {}) =>
    ({
      kind: "statement",
      text,
      request: text === undefined ? undefined : { text },
      level: state.innermost,
      begin: undefined,
      ...more
    }) as unknown as SessionRequest
  /** A statement that ends, and leaves the connection so. */
  const ends = (
    text: string | undefined,
    transaction: "idle" | "open" | "failed",
    error?: DbError,
    more: Partial<SessionRequest> = {}
  ) => {
    connection.transaction = transaction
    return state.after(request(text, more), error)
  }
  return { state, connection, enter, request, ends }
}

describe("levels", () => {
  it("are a transaction in the session, and savepoints in that, each with a name of its own", () => {
    const { enter, state } = make()
    assert.deepInclude(state.root, { kind: "session", session: "the session", parent: undefined, savepoint: undefined })
    assert.strictEqual(state.innermost, state.root)
    assert.deepInclude(state, { isBegun: false, isReadOnly: false, pendingBegin: undefined })
    const transaction = enter({ isolation: "serializable", deferrable: true })
    assert.deepInclude(transaction, {
      kind: "transaction",
      parent: state.root,
      savepoint: undefined,
      followsCommits: false
    })
    assert.deepStrictEqual(transaction.options, { isolation: "serializable", deferrable: true, readOnly: undefined })
    const first = enter({ readOnly: true }, true)
    assert.deepInclude(first, { kind: "savepoint", parent: transaction, savepoint: "dblive_1", followsCommits: true })
    // What holds around it holds in it.
    assert.deepStrictEqual(first.options, { isolation: "serializable", deferrable: true, readOnly: true })
    const second = enter()
    assert.deepInclude(second, { savepoint: "dblive_2", session: "the session" })
    assert.deepInclude(second.options, { isolation: "serializable", readOnly: true })
    assert.deepStrictEqual([state.root.child, transaction.child, first.child], [transaction, first, second])
    state.leave(second)
    assert.deepStrictEqual([state.innermost, first.child], [first, undefined])
    assert.strictEqual(enter().savepoint, "dblive_3")
  })

  it("are open while they are around the innermost one", () => {
    const { enter, state } = make()
    const transaction = enter()
    const savepoint = enter()
    assert.deepStrictEqual([state.root, transaction, savepoint].map((level) => state.isOpen(level)), [true, true, true])
    state.leave(savepoint)
    assert.deepStrictEqual([state.root, transaction, savepoint].map((level) => state.isOpen(level)), [
      true,
      true,
      false
    ])
  })

  it("forget with the transaction what was of it, and with a savepoint nothing", () => {
    const { enter, state } = make()
    const transaction = enter({ readOnly: true })
    assert.isTrue(state.isReadOnly)
    const savepoint = enter()
    state.pendingBegin = "BEGIN"
    state.leave(savepoint)
    assert.deepInclude(state, { isReadOnly: true, isBegun: true, pendingBegin: "BEGIN", innermost: transaction })
    state.leave(transaction)
    assert.deepInclude(state, { isReadOnly: false, isBegun: false, pendingBegin: undefined, innermost: state.root })
    assert.isUndefined(state.root.child)
    enter()
    assert.isFalse(state.isReadOnly)
    enter({ readOnly: true })
    assert.isFalse(state.isReadOnly)
  })

  it("are all left at the end of the session", () => {
    const { enter, state } = make()
    enter()
    enter()
    state.pendingBegin = "BEGIN"
    state.leaveAll()
    assert.deepInclude(state, { innermost: state.root, pendingBegin: undefined })
    assert.isUndefined(state.root.child)
  })

  it("begin anew in one that the database has committed", () => {
    const { enter, state } = make()
    const transaction = enter(undefined, true)
    const before = enter(undefined, true)
    transaction.committedBy = "CREATE TABLE t"
    state.leave(before)
    assert.strictEqual(state.newLevel(transaction).kind, "transaction")
    // One that waited for its turn meanwhile is a savepoint in nothing.
    state.enter(before)
    assert.strictEqual(before.committedBy, "CREATE TABLE t")
    const other = make()
    const around = other.enter()
    around.committedBy = "x"
    const inner = other.state.newLevel(around)
    other.state.enter(inner)
    assert.isUndefined(inner.committedBy)
  })

  it("send a BEGIN once", () => {
    const { state } = make()
    assert.isUndefined(state.takeBegin())
    assert.isFalse(state.isBegun)
    state.pendingBegin = "BEGIN"
    assert.strictEqual(state.takeBegin(), "BEGIN")
    assert.isTrue(state.isBegun)
    assert.isUndefined(state.takeBegin())
  })
})

describe("a closed level", () => {
  it("refuses what is in it, and what is in a level nested in it", () => {
    const { enter, state } = make()
    const transaction = enter()
    const savepoint = enter()
    assert.isUndefined(state.refusal(savepoint))
    assert.isUndefined(state.limitOf(savepoint))
    transaction.closed = fakeErrors.lost
    assert.strictEqual(state.refusal(savepoint), fakeErrors.lost)
    assert.strictEqual(state.limitOf(savepoint), fakeErrors.lost)
    assert.strictEqual(state.limitOf(transaction), fakeErrors.lost)
    assert.isUndefined(state.refusal(state.root))
    assert.isUndefined(state.limitOf(state.root))
    savepoint.closed = "ended"
    const outlived = state.refusal(savepoint)
    assert.deepInclude(outlived, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent", database: "orders" })
    assert.include(outlived?.message, "this nested transaction (session 7) has ended")
    // Its own end is no limit, the one around it is.
    assert.strictEqual(state.limitOf(savepoint), fakeErrors.lost)
    transaction.closed = "ended"
    assert.isUndefined(state.limitOf(savepoint))
  })
})

describe("a statement whose turn has come", () => {
  it("is not run in a transaction that the server has ended", () => {
    const { connection, enter, request, state } = make()
    enter()
    assert.isUndefined(state.before(request("SELECT 1"), false))
    connection.transaction = "failed"
    assert.isUndefined(state.before(request("SELECT 1"), false))
    connection.transaction = "idle"
    const refused = state.before(request("SELECT 1"), false)
    assert.deepInclude(refused, {
      _tag: "QueryError",
      reason: "TransactionAborted",
      outcome: "RolledBack",
      statement: "SELECT 1",
      database: "orders"
    })
    assert.include(refused?.message, "the transaction has ended on the server before this statement")
    assert.isUndefined(state.before(request("COMMIT", { kind: "control" }), false))
    // A cursor that is open already is read to its end; one that is not is not opened.
    assert.isUndefined(state.before(request(undefined, { kind: "cursor" }), true))
    assert.isDefined(state.before(request(undefined, { kind: "cursor" }), false))
    assert.isDefined(state.before(request("SELECT 1"), true))
    connection.lost = true
    assert.isUndefined(state.before(request("SELECT 1"), false))
    connection.lost = false
    state.isBegun = false
    assert.isUndefined(state.before(request("SELECT 1"), false))
  })

  it("is not asked for a transaction outside of one", () => {
    const { request, state } = make()
    state.isBegun = true
    assert.isUndefined(state.before(request("SELECT 1"), false))
  })

  it("does not write where only reads are allowed, and the database has no server to refuse it", () => {
    const write = "INSERT INTO t"
    const { enter, request, state } = make({ singleWriter: true })
    assert.isUndefined(state.before(request(write), false))
    enter({ readOnly: true })
    assert.deepInclude(state.before(request(write), false), {
      reason: "ReadOnly",
      outcome: "NotSent",
      statement: write
    })
    assert.isUndefined(state.before(request("SELECT 1"), false))
    assert.isUndefined(state.before(request(write, { kind: "control" }), false))
    assert.isUndefined(state.before(request(undefined), false))
    const writing = make({ singleWriter: true })
    writing.enter({ readOnly: false })
    assert.isUndefined(writing.state.before(writing.request(write), false))
    const server = make()
    server.enter({ readOnly: true })
    assert.isUndefined(server.state.before(server.request(write), false))
  })
})

describe("a statement that has ended", () => {
  it("in a transaction that goes on closes nothing", () => {
    const { ends, enter, state } = make()
    assert.isUndefined(ends("SELECT 1", "idle"))
    enter()
    assert.isUndefined(ends("SELECT 1", "open"))
    assert.isUndefined(ends("SELECT 1", "failed", fakeErrors.unique))
    assert.isUndefined(ends("COMMIT", "open", fakeErrors.unique))
    assert.isUndefined(ends("COMMIT", "idle", undefined, { kind: "control" }))
    assert.isUndefined(ends(undefined, "idle", undefined, { kind: "cursor" }))
    assert.isUndefined(state.innermost.closed)
  })

  it("leaves its error, the first of its level, to explain what is refused later", () => {
    const { ends, enter, state } = make()
    const transaction = enter()
    ends("SELECT 1", "open", fakeErrors.unique, { kind: "control" })
    assert.isUndefined(transaction.firstError)
    ends("SELECT 1", "open")
    assert.isUndefined(transaction.firstError)
    ends("SELECT 1", "open", fakeErrors.unique)
    ends("SELECT 2", "open", fakeErrors.deadlock)
    assert.strictEqual(transaction.firstError, fakeErrors.unique)
    enter()
    const error = state.aborted("it was aborted", "SELECT 3")
    assert.deepInclude(error, { reason: "TransactionAborted", outcome: "RolledBack", statement: "SELECT 3" })
    assert.strictEqual(error.cause, fakeErrors.unique)
    assert.include(error.message, "it was aborted; it failed first with: duplicate key")
    assert.strictEqual(make().state.aborted("x", undefined).cause, undefined)
  })

  it("with its connection is told by the error that took it", () => {
    const { ends, enter, state } = make()
    const transaction = enter()
    assert.deepInclude(state.lost, { _tag: "ConnectionError", reason: "Lost", database: "orders" })
    transaction.firstError = fakeErrors.unique
    assert.notStrictEqual<DbError>(state.lost, fakeErrors.unique)
    transaction.firstError = undefined
    ends("SELECT 1", "open", fakeErrors.lost)
    assert.strictEqual(state.lost, fakeErrors.lost)
  })

  it("and was to begin its transaction leaves nothing to go on with, where that was refused", () => {
    const begun = (
      transaction: "idle" | "open",
      error: DbError | undefined,
      begin: string | undefined,
      lost = false
    ) => {
      const { connection, ends, enter } = make()
      const level = enter()
      connection.lost = lost
      ends("SELECT 1", transaction, error, { begin } as Partial<SessionRequest>)
      return level.closed
    }
    const closed = begun("idle", fakeErrors.unique, "BEGIN")
    assert(closed !== undefined && closed !== "ended")
    assert.include(closed.message, "its transaction could not be begun; it failed first with: duplicate key")
    assert.isUndefined(begun("open", fakeErrors.unique, "BEGIN"))
    assert.isUndefined(begun("idle", undefined, "BEGIN"))
    assert.isUndefined(begun("idle", fakeErrors.unique, undefined))
    assert.isUndefined(begun("idle", fakeErrors.unique, "BEGIN", true))
  })
})

describe("a transaction that was ended by one of its statements", () => {
  /** What is closed, with which outcome and in which words. */
  const told = (closing: { readonly level: TransactionLevel; readonly error: DbError } | undefined) => {
    assert(closing !== undefined)
    return {
      level: closing.level,
      outcome: closing.error.outcome,
      mayBeApplied: closing.error.message.includes("so that what was done before it may be applied"),
      message: closing.error.message
    }
  }

  it("by a COMMIT may be applied, by a ROLLBACK is not", () => {
    for (const [text, outcome] of [["COMMIT", "Unknown"], ["ROLLBACK", "RolledBack"]] as const) {
      // Perhaps another one was begun in its place.
      for (const transaction of ["idle", "open"] as const) {
        const { ends, enter } = make()
        const level = enter()
        enter()
        const found = told(ends(text, transaction))
        assert.deepInclude(found, { level, outcome, mayBeApplied: outcome === "Unknown" })
        assert.include(found.message, `a statement in the transaction ended it (${text})`)
        assert.include(found.message, "nothing was run behind it")
        assert.include(found.message, "Leave COMMIT and ROLLBACK to the code that began the transaction.")
      }
    }
  })

  it("by an error is rolled back, unless nothing is known of it", () => {
    const ended = (error: DbError | undefined) => {
      const { ends, enter } = make()
      enter()
      return told(ends("UPDATE t", "idle", error)).outcome
    }
    assert.strictEqual(ended(fakeErrors.deadlock), "RolledBack")
    assert.strictEqual(ended(fakeErrors.commitUnknown), "Unknown")
    assert.strictEqual(ended(undefined), "Unknown")
  })

  it("names the statement of a list that did it, and an excerpt of a long one", () => {
    const { ends, enter } = make()
    enter()
    const error = Object.assign(Object.create(fakeErrors.deadlock), { statement: "UPDATE u" }) as DbError
    assert.include(told(ends("UPDATE t; UPDATE u", "idle", error)).message, "ended it (UPDATE u)")
    const other = make()
    other.enter()
    const long = `UPDATE ${"x".repeat(300)}`
    assert.include(told(other.ends(long, "idle")).message, `ended it (${long.slice(0, 197)}...)`)
    const nameless = make()
    nameless.enter()
    assert.include(told(nameless.ends(undefined, "idle")).message, "ended it ()")
  })

  it("is not looked at outside of one, before it began, and without its connection", () => {
    const outside = make()
    outside.state.isBegun = true
    assert.isUndefined(outside.ends("COMMIT", "idle"))
    const pending = make()
    pending.enter()
    pending.state.isBegun = false
    assert.isUndefined(pending.ends("COMMIT", "idle"))
    const lost = make()
    lost.enter()
    lost.connection.lost = true
    assert.isUndefined(lost.ends("COMMIT", "idle"))
  })

  it("by the database itself goes on where it was asked to, and each statement is applied at once", () => {
    const { ends, enter, state } = make({ commits: "all" })
    const transaction = enter(undefined, true)
    const savepoint = enter(undefined, true)
    assert.isUndefined(ends("CREATE TABLE t", "idle"))
    assert.deepStrictEqual([transaction.committedBy, savepoint.committedBy], ["CREATE TABLE t", "CREATE TABLE t"])
    assert.isFalse(state.isBegun)
  })

  it("by the database itself is over from the first level on that does not go on", () => {
    const { ends, enter, state } = make({ commits: "all" })
    enter(undefined, true)
    const savepoint = enter()
    const found = told(ends("CREATE TABLE t", "idle"))
    assert.deepInclude(found, { level: savepoint, outcome: "Unknown", mayBeApplied: true })
    assert.isFalse(state.isBegun)
    // Also where the statement that committed failed itself.
    const failed = make({ commits: "all" })
    const transaction = failed.enter()
    assert.deepInclude(told(failed.ends("CREATE TABLE t", "idle", fakeErrors.unique)), {
      level: transaction,
      outcome: "Unknown"
    })
  })

  it("by the database itself goes on also where the statement that committed failed, and not where no text is known", () => {
    const { ends, enter } = make({ commits: "all" })
    const transaction = enter(undefined, true)
    assert.isUndefined(ends("CREATE TABLE t", "idle", fakeErrors.unique))
    assert.strictEqual(transaction.committedBy, "CREATE TABLE t")
    const unnamed = make({ commits: "all" })
    const level = unnamed.enter(undefined, true)
    assert.deepInclude(told(unnamed.ends(undefined, "idle")), { level, outcome: "Unknown" })
    assert.isUndefined(level.committedBy)
  })

  it("by one of several statements, of which one failed, does not go on: it may have been rolled back", () => {
    const { ends, enter } = make({ commits: "some" })
    const transaction = enter(undefined, true)
    assert.deepInclude(told(ends("UPDATE t; CREATE TABLE u", "idle", fakeErrors.deadlock)), {
      level: transaction,
      outcome: "Unknown"
    })
    const well = make({ commits: "some" })
    well.enter(undefined, true)
    assert.isUndefined(well.ends("UPDATE t; CREATE TABLE u", "idle"))
  })

  it("by the database itself has committed nothing where it only reads, or where a word of the text ended it", () => {
    const reads = make({ commits: "all" })
    const level = reads.enter({ readOnly: true }, true)
    assert.deepInclude(told(reads.ends("CREATE TABLE t", "idle", fakeErrors.unique)), { level, outcome: "RolledBack" })
    assert.isUndefined(level.committedBy)
    const typed = make({ commits: "all" })
    const other = typed.enter(undefined, true)
    assert.deepInclude(told(typed.ends("ROLLBACK", "idle")), { level: other, outcome: "RolledBack" })
    assert.isUndefined(other.committedBy)
    const none = make({ commits: "none" })
    none.enter(undefined, true)
    assert.deepInclude(told(none.ends("UPDATE t", "idle", fakeErrors.deadlock)), { outcome: "RolledBack" })
  })
})
