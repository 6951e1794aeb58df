/** How the levels of a session begin and end: what is sent for it, and what the outcome is. On a connection that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import { type DbError, type QueryError, TimeoutError } from "../../src/DbError.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { canceled, handSession } from "../kit/handSession.js"

const lateAnswer = (outcome: "RolledBack" | "Unknown", phase: TimeoutError["phase"] = "Statement") =>
  new TimeoutError({ what: "slow", phase, outcome, database: "orders", limitMillis: 5 })

const isAborted = (error: DbError | undefined, what: string) => {
  assert.deepInclude(error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "RolledBack" })
  assert.include((error as QueryError).what, what)
}

describe("the beginning of a transaction", () => {
  it("is sent at once where BEGIN cannot be sent with a statement", () => {
    const { answer, begin, sent, session, state } = handSession()
    const asked = begin()
    assert.deepStrictEqual(sent, ["BEGIN"])
    assert.deepInclude(asked, { count: 0, level: undefined })
    assert.isDefined(asked.sent)
    assert.strictEqual(session.innermost, session.root)
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
    assert.strictEqual(asked.level, session.innermost)
    assert.strictEqual(session.innermost.kind, "transaction")
    assert.isTrue(state.isBegun)
  })

  it("is not entered when it is refused", () => {
    const { begin, fail, session, state } = handSession()
    const asked = begin()
    fail(fakeErrors.unique, "idle")
    assert.deepInclude(asked, { count: 1, error: fakeErrors.unique, level: undefined })
    assert.strictEqual(session.innermost, session.root)
    assert.isFalse(state.isBegun)
  })

  const pipelined = { capabilities: { pipelinedBegin: true } }

  it("waits for the first statement where it can be sent with that", () => {
    const { answer, ask, begin, sent, session, state } = handSession(pipelined)
    state.isBegun = true
    const asked = begin()
    assert.deepInclude(asked, { count: 1, error: undefined, level: session.innermost, sent: undefined })
    assert.strictEqual(session.innermost.kind, "transaction")
    assert.deepInclude(state, { isBegun: false, pendingBegin: "BEGIN" })
    assert.deepStrictEqual(sent, [])
    ask("SELECT 1")
    assert.deepStrictEqual(sent, ["BEGIN + SELECT 1"])
    assert.deepInclude(state, { isBegun: true, pendingBegin: undefined })
    answer()
  })

  it("is sent at once where that is asked for", () => {
    const { begin, sent } = handSession(pipelined)
    begin({ now: true })
    assert.deepStrictEqual(sent, ["BEGIN"])
  })

  it("waits for what runs in the session", () => {
    const { answer, ask, begin, sent, session } = handSession(pipelined)
    ask("SELECT 1")
    const asked = begin()
    assert.strictEqual(asked.count, 0)
    assert.strictEqual(session.innermost, session.root)
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1", "BEGIN"])
    answer()
    assert.strictEqual(asked.count, 1)
  })

  it("waits for the end of the transaction beside it", () => {
    const { answer, begin, end, sent, session } = handSession(pipelined)
    begin()
    const second = begin({ parent: session.root })
    assert.strictEqual(second.count, 0)
    end("commit")
    assert.deepStrictEqual(sent, ["BEGIN"])
    answer()
    assert.deepInclude(second, { count: 1, error: undefined, level: session.innermost })
  })

  it("is refused where its session has ended", () => {
    for (const capabilities of [{ pipelinedBegin: true }, {}]) {
      const { begin, release, sent, session } = handSession({ capabilities })
      release()
      const asked = begin()
      assert.deepInclude(asked, { count: 1, level: undefined })
      assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
      assert.strictEqual(session.innermost, session.root)
      assert.deepStrictEqual(sent, [])
    }
  })

  it("has its options, and a deadline", () => {
    const { advance, begin, cancelled, connection, fail, sent, session } = handSession()
    const deadline = { at: 1500, limit: 500 }
    const asked = begin({ begin: { readOnly: true }, followsCommits: true, deadline })
    assert.isTrue(connection.requests[0]!.prepare)
    advance(500)
    assert.deepStrictEqual(sent, ["BEGIN", "cancel"])
    cancelled()
    fail(canceled, "idle")
    assert.deepInclude(asked.error, { _tag: "TimeoutError", phase: "Statement", limitMillis: 500 })
    const again = begin({ begin: { readOnly: true }, followsCommits: true })
    connection.answer()
    assert.deepInclude(again.level, { followsCommits: true })
    assert.deepInclude(session.innermost.options, { readOnly: true })
  })
})

describe("the beginning of a savepoint", () => {
  it("is sent, and may be the first statement of its transaction", () => {
    const { answer, begin, sent, session, state } = handSession({ capabilities: { pipelinedBegin: true } })
    begin()
    const asked = begin()
    assert.deepStrictEqual(sent, ["BEGIN + SAVEPOINT dblive_1"])
    assert.strictEqual(asked.count, 0)
    answer()
    assert.strictEqual(asked.level, session.innermost)
    assert.deepInclude(session.innermost, { kind: "savepoint", savepoint: "dblive_1" })
    assert.isTrue(state.isBegun)
  })

  it("is not where BEGIN is sent, however it is", () => {
    const { begin, begun, connection, sent, state } = handSession()
    begun()
    state.isBegun = false
    state.pendingBegin = "BEGIN IMMEDIATE"
    begin()
    assert.deepStrictEqual(sent, ["BEGIN", "BEGIN IMMEDIATE + SAVEPOINT dblive_1"])
    assert.isTrue(state.isBegun)
    assert.isTrue(connection.requests[1]!.prepare)
  })

  it("says to a server that it only reads, where the transaction around it writes", () => {
    const { begin, begun, connection, nested, sent } = handSession({
      transaction: { readOnlyWithin: "SET TRANSACTION READ ONLY" }
    })
    begun()
    nested({ readOnly: true })
    begin({ begin: { readOnly: true } })
    connection.answer()
    begin()
    assert.deepStrictEqual(sent, [
      "BEGIN",
      "SAVEPOINT dblive_1; SET TRANSACTION READ ONLY",
      "SAVEPOINT dblive_2",
      "SAVEPOINT dblive_3"
    ])
    // Several statements cannot be prepared.
    assert.deepStrictEqual(connection.requests.map(({ prepare }) => prepare), [true, false, false, true])
  })

  it("says nothing of it to a server where it may write", () => {
    const { begin, begun, sent } = handSession({ transaction: { readOnlyWithin: "SET TRANSACTION READ ONLY" } })
    begun()
    begin()
    assert.deepStrictEqual(sent, ["BEGIN", "SAVEPOINT dblive_1"])
  })

  it("begins no transaction where the one around it was committed meanwhile: what follows is applied at once", () => {
    const { answer, ask, begin, begun, connection, sent, state } = handSession({
      driver: { commitsImplicitly: () => "all" }
    })
    begun({}, { followsCommits: true })
    ask("CREATE TABLE t")
    const asked = begin({ followsCommits: true })
    connection.transaction = "idle"
    answer()
    assert.isFalse(state.isBegun)
    answer()
    assert.deepInclude(asked.level, { kind: "savepoint", committedBy: "CREATE TABLE t" })
    assert.isFalse(state.isBegun)
    assert.isUndefined(ask("SELECT 1").error)
    assert.deepStrictEqual(sent, ["BEGIN", "CREATE TABLE t", "SAVEPOINT dblive_1", "SELECT 1"])
  })

  it("says nothing of it where the database has no words for that", () => {
    const { begin, begun, sent } = handSession()
    begun()
    begin({ begin: { readOnly: true } })
    assert.deepStrictEqual(sent, ["BEGIN", "SAVEPOINT dblive_1"])
  })
})

describe("COMMIT", () => {
  it("ends the transaction when it is answered, and what has waited runs behind it", () => {
    const { answer, ask, begun, end, sent, session } = handSession()
    const level = begun()
    const waiting = ask("SELECT 2", { level: session.root })
    const asked = end("commit")
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
    assert.strictEqual(asked.count, 0)
    assert.strictEqual(session.innermost, level)
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
    assert.strictEqual(session.innermost, session.root)
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT", "SELECT 2"])
    answer()
    assert.strictEqual(waiting.count, 1)
  })

  it("is not sent where BEGIN was not", () => {
    for (const how of ["commit", "rollback"] as const) {
      const { begin, connection, end, sent, session } = handSession({ capabilities: { pipelinedBegin: true } })
      begin()
      // Not even where the connection is in another transaction.
      connection.transaction = "open"
      assert.deepInclude(end(how), { count: 1, error: undefined })
      assert.strictEqual(session.innermost, session.root)
      assert.deepStrictEqual(sent, [])
    }
  })

  it("is no success where a statement has failed: the transaction is rolled back", () => {
    const { answer, ask, begun, end, fail, sent } = handSession()
    begun()
    ask("INSERT")
    fail(fakeErrors.unique)
    const asked = end("commit")
    assert.deepStrictEqual(sent, ["BEGIN", "INSERT", "ROLLBACK"])
    assert.strictEqual(asked.count, 0)
    answer()
    isAborted(asked.error, "because a statement in it failed")
    assert.include((asked.error as QueryError).what, "duplicate key")
  })

  it("is no success where the transaction had ended on the server", () => {
    const { begun, connection, end, sent } = handSession()
    begun()
    connection.transaction = "idle"
    const asked = end("commit")
    assert.strictEqual(asked.count, 1)
    isAborted(asked.error, "had ended on the server before it was to be committed")
    assert.deepStrictEqual(sent, ["BEGIN"])
  })

  it("is no success where the connection is lost", () => {
    const { begun, connection, end, sent } = handSession()
    begun()
    connection.lost = true
    connection.transaction = "failed"
    const asked = end("commit")
    assert.strictEqual(asked.count, 1)
    assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
    assert.deepStrictEqual(sent, ["BEGIN"])
  })

  it("is not sent where the connection was lost at that moment, and that is no unknown outcome", () => {
    const { answer, begun, connection, end } = handSession({ driver: { transactionId: "SELECT id" } })
    begun()
    const asked = end("commit", { onTransactionId: () => {} })
    connection.lost = true
    answer([["9"]])
    assert.deepInclude(asked.error, { _tag: "ConnectionError", reason: "Lost", outcome: "RolledBack" })
  })

  it("is an unknown outcome where its answer is", () => {
    const { begun, end, fail, sent } = handSession()
    begun()
    const asked = end("commit")
    fail(fakeErrors.lost, "idle")
    assert.deepInclude(asked.error, { _tag: "QueryError", reason: "CommitUnknown", outcome: "Unknown" })
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
  })

  it("fails with why the server refused it, and is undone where it is open still", () => {
    const { answer, begun, end, fail, sent } = handSession()
    begun()
    const asked = end("commit")
    fail(fakeErrors.serialization, "failed")
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT", "ROLLBACK"])
    assert.strictEqual(asked.count, 0)
    answer()
    assert.deepInclude(asked, { count: 1, error: fakeErrors.serialization })
  })

  it("of a savepoint is its release", () => {
    const { answer, begun, end, fail, nested, sent, session } = handSession()
    const transaction = begun()
    nested()
    const asked = end("commit")
    assert.strictEqual(asked.count, 0)
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
    assert.strictEqual(session.innermost, transaction)
    nested()
    // What is unknown of a savepoint is undone with it: it is no COMMIT.
    const second = end("commit")
    fail(lateAnswer("Unknown"))
    assert.deepStrictEqual(sent.slice(-2), ["RELEASE dblive_2", "ROLLBACK TO dblive_2"])
    answer()
    answer()
    assert.deepInclude(second.error, { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
  })

  it("of a savepoint sends nothing where the database has no release", () => {
    const { begun, end, nested, sent } = handSession({ transaction: { release: undefined } })
    begun()
    nested()
    assert.deepInclude(end("commit"), { count: 1, error: undefined })
    assert.deepStrictEqual(sent, ["BEGIN", "SAVEPOINT dblive_1"])
  })

  describe("with a deadline", () => {
    const isTooLong = (error: DbError | undefined) =>
      assert.deepInclude(error, {
        _tag: "TimeoutError",
        phase: "Transaction",
        outcome: "RolledBack",
        limitMillis: 700
      })

    it("is not sent behind it", () => {
      for (const [at, isOver] of [[999, true], [1000, true], [1001, false]] as const) {
        const { answer, begun, end, sent } = handSession()
        begun()
        const asked = end("commit", { deadline: { at, limit: 700 } })
        assert.deepStrictEqual(sent, ["BEGIN", isOver ? "ROLLBACK" : "COMMIT"])
        answer()
        if (isOver) {
          isTooLong(asked.error)
        } else {
          assert.deepInclude(asked, { count: 1, error: undefined })
        }
      }
    })

    it("is stopped at it, and the server says what became of it", () => {
      for (const outcome of ["RolledBack", "Unknown"] as const) {
        const { advance, begun, cancelled, connection, end, fail, sent } = handSession()
        begun()
        const asked = end("commit", { deadline: { at: 1300, limit: 700 } })
        advance(299)
        assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
        advance(1)
        assert.deepStrictEqual(sent, ["BEGIN", "COMMIT", "cancel"])
        cancelled()
        fail(outcome === "Unknown" ? fakeErrors.lost : canceled, "idle")
        assert.strictEqual(connection.running, undefined)
        if (outcome === "Unknown") {
          assert.deepInclude(asked.error, { _tag: "QueryError", reason: "CommitUnknown" })
        } else {
          isTooLong(asked.error)
        }
      }
    })

    it("fails as it does where that is not the deadline's doing", () => {
      const other = lateAnswer("RolledBack", "Lock")
      const early = lateAnswer("RolledBack")
      for (
        const [error, millis, options] of [
          // Another limit, a failure of another kind, one that comes before the deadline, and one without any.
          [other, 300, { deadline: { at: 1200, limit: 700 } }],
          [fakeErrors.unique, 300, { deadline: { at: 1200, limit: 700 } }],
          [early, 100, { deadline: { at: 1200, limit: 700 } }],
          [early, 100, {}]
        ] as const
      ) {
        const { begun, end, engine, fail } = handSession()
        begun()
        const asked = end("commit", options)
        engine.timer.now += millis
        fail(error, "idle")
        const { _tag, outcome } = error
        assert.deepInclude(asked.error, { _tag, outcome })
        assert.deepInclude(asked.error, error._tag === "TimeoutError" ? { phase: error.phase } : { code: error.code })
      }
    })

    it("is told as the transaction's where the server's own limit came at that moment", () => {
      const { begun, end, engine, fail } = handSession()
      begun()
      const asked = end("commit", { deadline: { at: 1200, limit: 700 } })
      engine.timer.now += 200
      fail(lateAnswer("RolledBack"), "idle")
      isTooLong(asked.error)
    })
  })

  describe("with the transaction's id", () => {
    const asking = { driver: { transactionId: "SELECT id" } }

    it("asks for it first", () => {
      const { answer, begun, end, sent } = handSession(asking)
      begun()
      const ids: Array<string> = []
      const asked = end("commit", { onTransactionId: (id) => ids.push(id), deadline: { at: 9000, limit: 8000 } })
      assert.deepStrictEqual(sent, ["BEGIN", "SELECT id"])
      answer([[42]])
      assert.deepStrictEqual(ids, ["42"])
      assert.deepStrictEqual(sent, ["BEGIN", "SELECT id", "COMMIT"])
      answer()
      assert.deepInclude(asked, { count: 1, error: undefined })
    })

    it("takes an answer without a row for one", () => {
      const { answer, begun, end, sent } = handSession(asking)
      begun()
      const ids: Array<string> = []
      end("commit", { onTransactionId: (id) => ids.push(id) })
      answer([])
      assert.deepStrictEqual(ids, ["undefined"])
      assert.strictEqual(sent.at(-1), "COMMIT")
    })

    it("does not where it is not wanted, cannot be, or of a savepoint", () => {
      const unwanted = handSession(asking)
      unwanted.begun()
      unwanted.end("commit")
      assert.deepStrictEqual(unwanted.sent, ["BEGIN", "COMMIT"])
      const impossible = handSession()
      impossible.begun()
      impossible.end("commit", { onTransactionId: () => {} })
      assert.deepStrictEqual(impossible.sent, ["BEGIN", "COMMIT"])
      const savepoint = handSession(asking)
      savepoint.begun()
      savepoint.nested()
      savepoint.end("commit", { onTransactionId: () => {} })
      assert.deepStrictEqual(savepoint.sent, ["BEGIN", "SAVEPOINT dblive_1", "RELEASE dblive_1"])
    })

    it("is not sent where that fails", () => {
      const { answer, begun, end, fail, sent } = handSession(asking)
      begun()
      const asked = end("commit", { onTransactionId: () => assert.fail("there is none") })
      fail(fakeErrors.unique)
      assert.deepStrictEqual(sent, ["BEGIN", "SELECT id", "ROLLBACK"])
      answer()
      assert.strictEqual(asked.error, fakeErrors.unique)
    })

    it("is rolled back where it is not known what became of the question: COMMIT was not sent", () => {
      for (const error of [fakeErrors.lost, lateAnswer("Unknown")]) {
        const { begun, connection, end, fail } = handSession(asking)
        begun()
        const asked = end("commit", { onTransactionId: () => {} })
        connection.lost = true
        fail(error)
        assert.deepInclude(asked.error, { _tag: error._tag, outcome: "RolledBack" })
      }
    })

    it("is bound by the transaction's deadline, too", () => {
      const { advance, answer, begun, cancelled, end, fail, sent } = handSession(asking)
      begun()
      const asked = end("commit", { onTransactionId: () => {}, deadline: { at: 1100, limit: 700 } })
      advance(100)
      assert.deepStrictEqual(sent, ["BEGIN", "SELECT id", "cancel"])
      cancelled()
      fail(canceled)
      answer()
      assert.deepInclude(asked.error, { phase: "Transaction", limitMillis: 700, outcome: "RolledBack" })
    })

    it("fails as it does where another limit ran out, or none", () => {
      for (
        const [error, millis] of [[lateAnswer("RolledBack"), 50], [fakeErrors.unique, 150]] as const
      ) {
        const { answer, begun, end, engine, fail } = handSession(asking)
        begun()
        const asked = end("commit", { onTransactionId: () => {}, deadline: { at: 1100, limit: 700 } })
        engine.timer.now += millis
        fail(error)
        answer()
        assert.deepInclude(asked.error, error._tag === "TimeoutError" ? { phase: "Statement" } : { code: "23505" })
      }
    })
  })
})

describe("ROLLBACK", () => {
  it("undoes the transaction", () => {
    const { answer, begun, end, sent, session } = handSession()
    begun()
    const asked = end("rollback")
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK"])
    assert.strictEqual(asked.count, 0)
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
    assert.strictEqual(session.innermost, session.root)
  })

  it("of a savepoint goes back to it, and frees it", () => {
    const { answer, begun, end, nested, sent, session } = handSession()
    const transaction = begun()
    nested()
    const asked = end("rollback")
    assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1"])
    answer()
    assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1", "RELEASE dblive_1"])
    assert.strictEqual(asked.count, 0)
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
    assert.strictEqual(session.innermost, transaction)
  })

  it("of a savepoint only goes back where the database has no release", () => {
    const { answer, begun, end, nested, sent } = handSession({ transaction: { release: undefined } })
    begun()
    nested()
    const asked = end("rollback")
    answer()
    assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1"])
    assert.deepInclude(asked, { count: 1, error: undefined })
  })

  it("sends nothing where the server has done it, or the connection is gone", () => {
    for (const state of [{ transaction: "idle" }, { transaction: "open", lost: true }] as const) {
      const { begun, connection, end, sent, session } = handSession()
      begun()
      Object.assign(connection, state)
      assert.deepInclude(end("rollback"), { count: 1, error: undefined })
      assert.deepStrictEqual(sent, ["BEGIN"])
      assert.strictEqual(session.innermost, session.root)
    }
  })

  it("that fails costs the connection", () => {
    const { begun, end, fail, nested, sent } = handSession()
    begun()
    nested()
    const asked = end("rollback")
    fail(fakeErrors.unique)
    assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1", "destroy"])
    assert.deepInclude(asked, { count: 1, error: fakeErrors.unique })
  })

  it("tells that the release behind it failed", () => {
    const { answer, begun, end, fail, nested } = handSession()
    begun()
    nested()
    const asked = end("rollback")
    answer()
    fail(fakeErrors.unique)
    assert.deepInclude(asked, { count: 1, error: fakeErrors.unique })
  })

  it("has two seconds, and its release too, whatever the limits", () => {
    for (const statementTimeout of [0, 100, 60_000]) {
      const { advance, answer, begun, end, nested, sent } = handSession({ limits: { statementTimeout } })
      begun()
      nested()
      end("rollback")
      advance(1999)
      assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1"])
      answer()
      advance(1999)
      assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1", "RELEASE dblive_1"])
      advance(1)
      assert.deepStrictEqual(sent.slice(2), ["ROLLBACK TO dblive_1", "RELEASE dblive_1", "cancel"])
      const back = handSession({ limits: { statementTimeout } })
      back.begun()
      back.end("rollback")
      back.advance(1999)
      assert.deepStrictEqual(back.sent, ["BEGIN", "ROLLBACK"])
      back.advance(1)
      assert.deepStrictEqual(back.sent, ["BEGIN", "ROLLBACK", "cancel"])
    }
  })
})

describe("a level that a limit has ended", () => {
  const limit = lateAnswer("RolledBack", "IdleInTransaction")

  it("cannot be committed: the limit is why", () => {
    const { answer, begun, end, queue, sent } = handSession()
    queue.closeLevel(begun(), limit)
    const asked = end("commit")
    assert.deepStrictEqual(sent, ["BEGIN", "ROLLBACK"])
    answer()
    assert.strictEqual(asked.error, limit)
  })

  it("is rolled back without an error", () => {
    const { answer, begun, end, queue } = handSession()
    queue.closeLevel(begun(), limit)
    const asked = end("rollback")
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
  })

  it("is none where BEGIN was not sent", () => {
    const { begin, end, queue, session } = handSession({ capabilities: { pipelinedBegin: true } })
    begin()
    queue.closeLevel(session.innermost, limit)
    assert.deepInclude(end("commit"), { count: 1, error: undefined })
  })
})

describe("a level that the database has committed by itself", () => {
  it("has nothing to commit or to undo", () => {
    for (const how of ["commit", "rollback"] as const) {
      const { begun, connection, end, sent, session, state } = handSession()
      begun().committedBy = "CREATE TABLE t"
      connection.transaction = "idle"
      state.isBegun = false
      assert.deepInclude(end(how), { count: 1, error: undefined })
      assert.deepStrictEqual(sent, ["BEGIN"])
      assert.strictEqual(session.innermost, session.root)
    }
  })

  it("says so in the error of a limit, and only where it was to be committed", () => {
    for (const how of ["commit", "rollback"] as const) {
      const { begun, connection, end, queue } = handSession()
      const level = begun()
      level.committedBy = "CREATE TABLE t"
      connection.transaction = "idle"
      queue.closeLevel(level, lateAnswer("RolledBack", "IdleInTransaction"))
      const asked = end(how)
      assert.strictEqual(asked.count, 1)
      if (how === "rollback") {
        assert.isUndefined(asked.error)
      } else {
        assert.deepInclude(asked.error, {
          phase: "IdleInTransaction",
          outcome: "Unknown",
          committedBy: "CREATE TABLE t"
        })
      }
    }
  })

  it("is committed or undone where another transaction has begun in it", () => {
    for (const how of ["commit", "rollback"] as const) {
      const { answer, begun, end, sent, state } = handSession()
      begun().committedBy = "CREATE TABLE t"
      state.isBegun = false
      const asked = end(how)
      assert.deepStrictEqual(sent, ["BEGIN", how.toUpperCase()])
      answer()
      assert.deepInclude(asked, { count: 1, error: undefined })
    }
  })

  it("is left where it is a savepoint, which the server has forgotten", () => {
    for (const how of ["commit", "rollback"] as const) {
      const { begun, end, nested, sent, session } = handSession()
      const transaction = begun()
      nested().committedBy = "CREATE TABLE t"
      assert.deepInclude(end(how), { count: 1, error: undefined })
      assert.deepStrictEqual(sent, ["BEGIN", "SAVEPOINT dblive_1"])
      assert.strictEqual(session.innermost, transaction)
    }
  })

  it("fails with what it knows, which is not all that was done", () => {
    const { begun, end, fail } = handSession()
    begun().committedBy = "CREATE TABLE t"
    const asked = end("commit")
    fail(fakeErrors.unique, "idle")
    assert.deepInclude(asked.error, { code: "23505", outcome: "Unknown", committedBy: "CREATE TABLE t" })
  })
})

describe("the end of a level", () => {
  it("is none where the level around it has ended first", () => {
    const { answer, begun, end, nested, sent, session } = handSession()
    const transaction = begun()
    const savepoint = nested()
    end("commit", {}, transaction)
    answer()
    answer()
    const late = end("commit", {}, savepoint)
    assert.deepInclude(late.error, { _tag: "ConnectionError", reason: "Closed" })
    assert.include(late.error!.message, "transaction")
    assert.include(late.error!.message, "outlived")
    assert.deepInclude(end("rollback", {}, savepoint), { count: 1, error: undefined })
    // Nothing of it is applied, as its ends say.
    assert.deepStrictEqual(sent, ["BEGIN", "SAVEPOINT dblive_1", "ROLLBACK TO dblive_1", "COMMIT"])
    assert.strictEqual(session.innermost, session.root)
  })

  it("undoes the nested levels that have not ended, and is none where that fails", () => {
    const { begun, end, fail, nested, sent, told } = handSession()
    const transaction = begun()
    nested()
    nested()
    const asked = end("commit", {}, transaction)
    assert.deepStrictEqual(sent.slice(3), ["ROLLBACK TO dblive_1"])
    fail(canceled, "failed")
    assert.deepStrictEqual(sent.slice(4), ["ROLLBACK"])
    fail(canceled, "idle")
    assert.deepInclude(asked, { count: 1, error: canceled })
    assert.isDefined(told)
  })

  it("says so also of a level that nothing has closed", () => {
    const { begun, end, state } = handSession()
    const level = begun()
    state.leave(level)
    const late = end("commit", {}, level)
    assert.deepInclude(late, { count: 1 })
    assert.deepInclude(late.error, { _tag: "ConnectionError", reason: "Closed" })
    assert.deepInclude(end("rollback", {}, level), { count: 1, error: undefined })
  })

  it("stops what runs in it first, and refuses what waits", () => {
    const { answer, ask, begun, cancelled, end, fail, sent } = handSession()
    begun()
    const running = ask("SELECT 1")
    const waiting = ask("SELECT 2")
    const asked = end("rollback")
    assert.deepInclude(waiting.error, { _tag: "ConnectionError", reason: "Closed", outcome: "NotSent" })
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel"])
    cancelled()
    assert.strictEqual(running.count, 0)
    fail(canceled)
    assert.deepInclude(running.error, { _tag: "ConnectionError", reason: "Closed", outcome: "RolledBack" })
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 1", "cancel", "ROLLBACK"])
    answer()
    assert.strictEqual(asked.count, 1)
  })

  it("has its own time, not that of the end before it", () => {
    const { advance, answer, begun, end, queue, sent } = handSession()
    begun()
    queue.endBy = { at: 1001, limit: 1 }
    end("commit")
    assert.isUndefined(queue.endBy)
    advance(10)
    assert.deepStrictEqual(sent, ["BEGIN", "COMMIT"])
    queue.hurry()
    assert.isDefined(queue.endBy)
    answer()
    assert.isUndefined(queue.endBy)
  })

  it("frees the write lock", () => {
    const { answer, ask, begun, end, engine, queue } = handSession({ capabilities: { singleWriter: true } })
    ask("INSERT")
    answer()
    begun()
    const other = handSession({ inside: { engine, level: undefined } })
    const waiting = other.begin({ now: true })
    assert.isTrue(queue.lock!.isHeld)
    end("commit")
    assert.strictEqual(waiting.count, 0)
    answer()
    assert.isFalse(queue.lock!.isHeld)
    assert.deepStrictEqual(other.sent, ["BEGIN"])
  })
})
