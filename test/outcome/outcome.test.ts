/** Contract 4: what is known of a write that failed, in every way in which it can fail. */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Db } from "../../src/Db.js"
import type { DbError, Outcome } from "../../src/DbError.js"
import { describePostgres, eventually } from "../kit/postgres.js"
import { afterStatement, beforeReply, beforeStatement, type Point } from "../kit/proxy.js"
import { isWhole } from "../suites/sessions.js"
import { onPostgres, type Server } from "../time/onPostgres.js"

const insert = Db.query("INSERT INTO t VALUES (1)")
const slow = Db.query("INSERT INTO t SELECT 1 FROM pg_sleep(3600)")
const commits = Db.query("INSERT INTO slow VALUES (1)").pipe(Db.transaction)

const cut = (point: Point, effect: Effect.Effect<unknown, DbError, Db>) => (server: Server) => {
  server.proxy.at(point, "cut")
  return effect
}

/** Ends the process of the server that runs it, as an administrator would. */
const terminated = (effect: Effect.Effect<unknown, DbError, Db>) => (server: Server) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    // Not whatever runs at the moment: what came before it in the transaction may be running still, or the server may not
    // have read all of the request.
    yield* eventually(
      server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' " +
          "AND application_name = 'dblive test' AND datname = current_database()"
      ),
      (rows) => rows.length > 0
    )
    return yield* Fiber.join(fiber)
  })

interface Case {
  readonly how: (server: Server) => Effect.Effect<unknown, DbError, Db>
  readonly is: string
  readonly outcome: Outcome
  /** How many rows of it are there afterwards, where that can be said. */
  readonly rows: number
}

const cases: Readonly<Record<string, Case>> = {
  "a parameter that cannot be sent": {
    how: () => Db.query("INSERT INTO t VALUES (:a)", { a: Symbol("a") as never }),
    is: "QueryError.Parameter",
    outcome: "NotSent",
    rows: 0
  },
  "a text that is no SQL": {
    how: () => Db.query("INSER INTO t VALUES (1)"),
    is: "QueryError.SqlSyntax",
    outcome: "NotSent",
    rows: 0
  },
  "a violation, alone": {
    how: () => Db.query("INSERT INTO u VALUES (1), (1)"),
    is: "QueryError.UniqueViolation",
    outcome: "RolledBack",
    rows: 0
  },
  "a violation in a transaction": {
    how: () => insert.pipe(Effect.zipRight(Db.query("INSERT INTO u VALUES (1), (1)")), Db.transaction),
    is: "QueryError.UniqueViolation",
    outcome: "RolledBack",
    rows: 0
  },
  "a statement that runs out of time, alone": {
    how: () => slow.pipe(Db.withTimeout("100 millis")),
    is: "TimeoutError.Statement",
    outcome: "RolledBack",
    rows: 0
  },
  "a statement that runs out of time, in a transaction": {
    how: () => insert.pipe(Effect.zipRight(Db.query("SELECT pg_sleep(9)", [], { timeout: 100 })), Db.transaction),
    is: "TimeoutError.Statement",
    outcome: "RolledBack",
    rows: 0
  },
  "a lock that is not granted": {
    how: () =>
      Effect.gen(function*() {
        const locked = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(
          Db.query("INSERT INTO u VALUES (1)").pipe(
            Effect.zipRight(Deferred.succeed(locked, undefined)),
            Effect.zipRight(Effect.never),
            Db.transaction
          )
        )
        yield* Deferred.await(locked)
        return yield* Effect.ensuring(Db.query("INSERT INTO u VALUES (1)"), Fiber.interrupt(holder))
      }),
    is: "TimeoutError.Lock",
    outcome: "RolledBack",
    rows: 0
  },
  "no connection free in time": {
    how: () => Db.session(Effect.scoped(Effect.zipRight(Db.reserve, Effect.scoped(Db.reserve)))),
    is: "TimeoutError.Acquire",
    outcome: "NotSent",
    rows: 0
  },
  "a session that has ended": {
    how: () => Effect.flatMap(Db.session(Effect.forkDaemon(Effect.zipRight(Effect.sleep(20), insert))), Fiber.join),
    is: "ConnectionError.Closed",
    outcome: "NotSent",
    rows: 0
  },
  "a connection that is lost before a statement reaches the server": {
    how: cut(beforeStatement(/^INSERT/), insert),
    is: "ConnectionError.Lost",
    outcome: "Unknown",
    rows: 0
  },
  "a connection that is lost before a statement's answer": {
    how: cut(beforeReply("INSERT"), insert),
    is: "ConnectionError.Lost",
    outcome: "Unknown",
    rows: 1
  },
  "a connection that is lost before a statement's answer, in a transaction": {
    how: cut(beforeReply("INSERT"), insert.pipe(Db.transaction)),
    is: "ConnectionError.Lost",
    outcome: "RolledBack",
    rows: 0
  },
  "a connection that was lost between two statements of a transaction": {
    how: (server) =>
      insert.pipe(
        Effect.zipRight(Effect.sync(() => server.proxy.cutAll())),
        Effect.zipRight(Effect.sleep(20)),
        Effect.zipRight(insert),
        Db.transaction
      ),
    is: "ConnectionError.Lost",
    outcome: "RolledBack",
    rows: 0
  },
  "a connection that was lost before COMMIT": {
    how: (server) =>
      insert.pipe(
        Effect.zipRight(Effect.sync(() => server.proxy.cutAll())),
        Effect.zipRight(Effect.sleep(20)),
        Db.transaction
      ),
    is: "ConnectionError.Lost",
    outcome: "RolledBack",
    rows: 0
  },
  "a statement whose process was ended, alone": {
    how: terminated(slow),
    is: "ConnectionError.ServerShutdown",
    outcome: "RolledBack",
    rows: 0
  },
  "a statement whose process was ended, in a transaction": {
    how: terminated(insert.pipe(Effect.zipRight(slow), Db.transaction)),
    is: "ConnectionError.ServerShutdown",
    outcome: "RolledBack",
    rows: 0
  },
  "a COMMIT that is refused": {
    how: () => Db.query("INSERT INTO child VALUES (7)").pipe(Effect.zipRight(insert), Db.transaction),
    is: "QueryError.ForeignKeyViolation",
    outcome: "RolledBack",
    rows: 0
  },
  "a COMMIT of a transaction that had failed": {
    how: () => insert.pipe(Effect.zipRight(Effect.ignore(Db.query("SELECT 1/0"))), Db.transaction),
    is: "QueryError.TransactionAborted",
    outcome: "RolledBack",
    rows: 0
  },
  "a COMMIT that runs out of time": {
    how: () => commits.pipe(Db.withTimeout("200 millis")),
    is: "TimeoutError.Transaction",
    outcome: "RolledBack",
    rows: 0
  },
  "a COMMIT that does not reach the server": {
    how: cut(beforeStatement(/^COMMIT/), insert.pipe(Db.transaction)),
    is: "QueryError.CommitUnknown",
    outcome: "Unknown",
    rows: 0
  },
  "a COMMIT whose answer is lost": {
    how: cut(beforeReply("COMMIT"), insert.pipe(Db.transaction)),
    is: "QueryError.CommitUnknown",
    outcome: "Unknown",
    rows: 1
  },
  "a COMMIT whose process was ended": {
    how: terminated(commits),
    is: "QueryError.CommitUnknown",
    outcome: "Unknown",
    rows: 0
  },
  "a RELEASE whose answer is lost": {
    how: cut(afterStatement(/^RELEASE/), insert.pipe(Db.transaction, Db.transaction)),
    is: "ConnectionError.Lost",
    outcome: "RolledBack",
    rows: 0
  }
}

describePostgres("the outcome of", () => {
  for (const [what, { how, is, outcome, rows }] of Object.entries(cases)) {
    it.scopedLive(`${what}: ${is}, ${outcome}`, () =>
      onPostgres(
        { pool: { size: 2, acquireTimeout: "2 seconds" }, limits: { lockTimeout: "200 millis" } },
        (server) =>
          Effect.gen(function*() {
            yield* server.ask(`
            CREATE TABLE t (id int);
            CREATE TABLE u (id int PRIMARY KEY);
            CREATE TABLE parent (id int PRIMARY KEY);
            CREATE TABLE child (parent_id int REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
            CREATE TABLE slow (id int);
            CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN PERFORM pg_sleep(3600); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
              FOR EACH ROW EXECUTE FUNCTION sleep()`)
            const error = yield* Effect.flip(how(server))
            assert.strictEqual(`${error._tag}.${error.reason}`, is, error.message)
            assert.strictEqual(error.outcome, outcome, error.message)
            const count = server.ask(
              "SELECT ((SELECT count(*) FROM t) + (SELECT count(*) FROM u) + (SELECT count(*) FROM slow))::int AS n"
            )
            assert.strictEqual(Number((yield* count)[0]!["n"]), rows)
            yield* eventually(server.active, (active) => active.length === 0)
            yield* isWhole
          }),
        "proxied"
      ))
  }
})
