/**
 * A statement runs in the transaction in which its effect stands, however the effect gets there: random programs of sessions,
 * transactions, requests, forks, races and batches over two databases, held against a model of what they must leave.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as fc from "fast-check"
import { Db } from "../../src/Db.js"
import { ask, requestsOf, type Way, ways } from "./scopeRequests.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

class Other extends Db.Tag("Other")<Other>() {}

// -----------------------------------------------------------------------------
// programs
// -----------------------------------------------------------------------------

type Index = 0 | 1

/** Writes one row, and looks whether it is seen from here. */
interface Write {
  readonly kind: "write"
  readonly db: Index
  readonly by: "statement" | "void" | "ordered"
  readonly seenBy: "statement" | "findById" | "grouped" | "outside"
}

interface Frame {
  readonly kind: "frame"
  readonly db: Index
  readonly as: "session" | "transaction" | "withTransaction"
  readonly ends: "success" | "failure" | "defect" | "interrupt"
  readonly of: Program
}

interface All {
  readonly kind: "all"
  readonly batching: boolean
  readonly concurrency: "unbounded" | 1 | 2
  readonly of: ReadonlyArray<Program>
}

interface Around {
  readonly kind: "fork" | "race" | "timeout" | "locally" | "ask" | "outside" | Way
  readonly of: Program
}

type Program = Write | Frame | All | Around

/** What the databases allow at the same time without waiting for each other for ever. */
interface Allowed {
  readonly db: Index | undefined
  /** How many more levels. */
  readonly depth: number
  /** Whether there is a session or a transaction around. */
  readonly inFrame: boolean
  /** Whether a transaction stands open around. */
  readonly inTransaction: boolean
  /**
   * Whether requests are resolved where they are made. A resolver that is outside of all frames has no context of its own, and is
   * run by the fiber that resolves the batch, wherever that is.
   */
  readonly requests: boolean
}

const ends = fc.constantFrom("success", "success", "success", "failure", "defect", "interrupt" as const)

const programs = (target: Target, allowed: Allowed): fc.Arbitrary<Program> => {
  const { singleWriter = false } = target
  const db = allowed.db === undefined ? fc.constantFrom(0, 1 as const) : fc.constant(allowed.db)
  const write: fc.Arbitrary<Write> = fc.record({
    kind: fc.constant("write"),
    db,
    by: fc.constantFrom("statement" as const, ...(allowed.requests ? ["void" as const, "ordered" as const] : [])),
    seenBy: fc.constantFrom(
      "statement" as const,
      ...(allowed.requests ? ["findById" as const, "grouped" as const] : []),
      ...(target.outsideWaits === true ? [] : ["outside" as const])
    )
  })
  if (allowed.depth === 0) {
    return write
  }
  const inner = programs(target, { ...allowed, depth: allowed.depth - 1 })
  const frame = fc.tuple(db, fc.constantFrom("session", "transaction", "withTransaction" as const), ends).chain(
    ([db, as, ends]): fc.Arbitrary<Frame> => {
      const inTransaction = allowed.inTransaction || as !== "session"
      return fc.record({
        kind: fc.constant("frame"),
        db: fc.constant(db),
        as: fc.constant(as),
        ends: fc.constant(ends),
        of: programs(target, {
          // One order of the databases, where each has one writer: two fibers could wait for each other's.
          db: singleWriter && db === 1 ? 1 : allowed.db,
          depth: allowed.depth - 1,
          inFrame: true,
          inTransaction,
          requests: true
        })
      })
    }
  )
  const concurrent = (of: fc.Arbitrary<Program>): fc.Arbitrary<All> =>
    fc.record({
      kind: fc.constant("all"),
      batching: fc.boolean(),
      concurrency: fc.constantFrom("unbounded" as const, "unbounded" as const, 1 as const, 2 as const),
      of: fc.array(of, { minLength: 1, maxLength: 3 })
    })
  // Fibers that share connections of both databases could each nest a transaction in one and wait for its turn on the other.
  const all = allowed.inFrame
    ? db.chain((db) => concurrent(programs(target, { ...allowed, db, depth: allowed.depth - 1 })))
    : concurrent(inner)
  const around: fc.Arbitrary<Around> = fc.record({
    kind: fc.constantFrom("fork", "race", "timeout", "locally", "ask", ...Struct.keys(ways)),
    of: inner
  })
  // A write outside would wait for the one writer inside.
  const left: fc.Arbitrary<Around> = target.outsideWaits === true || (singleWriter && allowed.inTransaction) ?
    around :
    fc.record({
      kind: fc.constant("outside"),
      of: programs(target, { ...allowed, depth: allowed.depth - 1, requests: false })
    })
  return fc.oneof({ weight: 1, arbitrary: write }, { weight: 3, arbitrary: frame }, { weight: 3, arbitrary: all }, {
    weight: 2,
    arbitrary: around
  }, { weight: 1, arbitrary: left })
}

// -----------------------------------------------------------------------------
// the model
// -----------------------------------------------------------------------------

/** What holds where a program runs: of each database the rows that become visible with what is around, and whose they are. */
interface Place {
  /** Rows of the transaction around, of each database; `undefined` outside of one. */
  readonly rows: readonly [Array<number> | undefined, Array<number> | undefined]
}

const outside: Place = { rows: [undefined, undefined] }

const inside = ({ rows: [a, b] }: Place, db: Index, own: Array<number>): Place => ({
  rows: db === 0 ? [own, b] : [a, own]
})

// -----------------------------------------------------------------------------
// the run
// -----------------------------------------------------------------------------

const around = FiberRef.unsafeMake(0)

const makeDatabase = (name: string, sql: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    yield* sql`CREATE TABLE placed (id INTEGER PRIMARY KEY)`
    const select = (ids: ReadonlyArray<number>) =>
      sql<{ id: unknown }>`SELECT id FROM placed WHERE ${sql.in("id", ids)} ORDER BY id`.pipe(
        Effect.map((rows) => rows.map((row) => ({ id: Number(row.id) })))
      )
    const insert = (ids: ReadonlyArray<number>) => sql`INSERT INTO placed ${sql.insert(ids.map((id) => ({ id })))}`
    const requests = yield* requestsOf(name, { insert, select })
    const write = {
      statement: (id: number) => Effect.asVoid(insert([id])),
      void: requests.add,
      ordered: requests.insertOrdered
    }
    const isSeen = {
      statement: (id: number) => Effect.map(select([id]), (rows) => rows.length === 1),
      findById: requests.isFound,
      grouped: requests.isInGroup,
      outside: (id: number) =>
        Effect.mapInputContext(
          Effect.map(select([id]), (rows) => rows.length === 1),
          (context: Context.Context<never>) => Context.omit(SqlClient.TransactionConnection)(context)
        )
    }
    return { sql, select, write, isSeen }
  })

type Databases = readonly [
  Effect.Effect.Success<ReturnType<typeof makeDatabase>>,
  Effect.Effect.Success<ReturnType<typeof makeDatabase>>
]

class Run {
  /** Rows that are to be found in the end. */
  readonly committed: readonly [Array<number>, Array<number>] = [[], []]
  readonly faults: Array<string> = []

  constructor(readonly databases: Databases, private nextId: number) {}

  readonly id = () => this.nextId++

  /** A program, whose own failures are faults: frames that are to fail are caught where they end. */
  program(program: Program, place: Place): Effect.Effect<void, never, Db | Other> {
    switch (program.kind) {
      case "write":
        return this.write(program, place)
      case "frame":
        return this.frame(program, place)
      case "all":
        return Effect.forEach(program.of, (one) => this.program(one, place), {
          batching: program.batching,
          concurrency: program.concurrency,
          discard: true
        })
      case "fork":
        return Effect.flatMap(Effect.fork(this.program(program.of, place)), Fiber.join)
      case "race":
        return Effect.raceFirst(this.program(program.of, place), Effect.never)
      case "timeout":
        return Effect.orDie(Effect.timeout(this.program(program.of, place), "1 hour"))
      case "locally":
        return Effect.locally(this.program(program.of, place), around, 1)
      case "ask":
        return Effect.zipRight(ask, this.program(program.of, place))
      case "outside":
        return Effect.mapInputContext(
          this.program(program.of, outside),
          (context: Context.Context<Db | Other>) =>
            Context.omit(SqlClient.TransactionConnection)(context) as Context.Context<Db | Other>
        )
      default:
        return ways[program.kind](this.program(program.of, place))
    }
  }

  private write({ by, db, seenBy }: Write, { rows }: Place): Effect.Effect<void> {
    const id = this.id()
    const database = this.databases[db]
    const seen = seenBy !== "outside" || rows[db] === undefined
    return database.write[by](id).pipe(
      Effect.zipRight(database.isSeen[seenBy](id)),
      Effect.matchCause({
        onFailure: (cause) => {
          this.faults.push(`write ${id}: ${Cause.pretty(cause)}`)
        },
        onSuccess: (found) => {
          ;(rows[db] ?? this.committed[db]).push(id)
          if (found !== seen) {
            this.faults.push(`row ${id} of database ${db}, by ${by}, is ${found ? "" : "not "}seen by ${seenBy}`)
          }
        }
      })
    )
  }

  private frame({ as, db, ends, of }: Frame, place: Place): Effect.Effect<void, never, Db | Other> {
    const isSession = as === "session"
    const own: Array<number> = []
    const body = Effect.zipRight(
      this.program(of, isSession ? place : inside(place, db, own)),
      ends === "success"
        ? Effect.void
        : ends === "failure"
        ? Effect.fail("meant" as const)
        : ends === "defect"
        ? Effect.die("meant")
        : Effect.interrupt
    )
    const tag = db === 0 ? Db : Other
    const framed: Effect.Effect<void, unknown, Db | Other> = as === "session"
      ? tag.session(body)
      : as === "transaction"
      ? tag.transaction(body)
      : this.databases[db].sql.withTransaction(body)
    return Effect.map(Effect.exit(framed), (exit) => {
      const isMeant = ends === "success" ? Exit.isSuccess(exit) : Exit.isFailure(exit) && isMeantBy(ends, exit.cause)
      if (!isMeant) {
        this.faults.push(`a ${as} of database ${db} that ends with ${ends}: ${String(exit)}`)
      }
      if (!isSession && Exit.isSuccess(exit)) {
        ;(place.rows[db] ?? this.committed[db]).push(...own)
      }
    })
  }
}

const isMeantBy = (ends: Frame["ends"], cause: Cause.Cause<unknown>): boolean =>
  ends === "interrupt"
    ? Cause.isInterruptedOnly(cause)
    : [...Cause.failures(cause), ...Cause.defects(cause)].every((_) => _ === "meant")

export const transactionScope = (target: Target, runs: number): void => {
  describe("transaction scope", () => {
    test(
      target,
      "each statement runs in the transaction in which its effect stands",
      Effect.gen(function*() {
        const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
        console.log(`transaction scope on ${target.name}: DBLIVE_SEED=${seed}`)
        const databases: Databases = [
          yield* makeDatabase("Db", yield* Db.sql),
          yield* makeDatabase("Other", yield* Other.sql)
        ]
        const runtime = yield* Effect.runtime<Db | Other>()
        let nextId = 1
        const check = (program: Program) =>
          Effect.gen(function*() {
            const run = new Run(databases, nextId)
            yield* run.program(program, outside)
            const first = nextId
            nextId = run.id()
            // The fiber is where it was.
            assert.isTrue(Option.isNone(yield* Effect.serviceOption(SqlClient.TransactionConnection)))
            assert.strictEqual(yield* FiberRef.get(around), 0)
            assert.strictEqual(run.faults.join("\n"), "")
            const ids = Array.from({ length: nextId - first }, (_, i) => first + i)
            for (const db of [0, 1] as const) {
              const rows = ids.length === 0 ? [] : yield* databases[db].select(ids)
              assert.deepStrictEqual(rows.map(({ id }) => id), [...run.committed[db]].sort((a, b) => a - b))
            }
          })
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(
              programs(target, { db: undefined, depth: 5, inFrame: false, inTransaction: false, requests: true }),
              (program) =>
                Effect.runPromise(
                  Effect.timeoutFail(Effect.provide(check(program), runtime), {
                    duration: "20 seconds",
                    onTimeout: () => "the program hangs"
                  })
                )
            ),
            { seed, numRuns: runs, endOnFailure: process.env["DBLIVE_SHRINK"] === undefined }
          )
        )
        yield* isWhole
      }).pipe((body) =>
        Effect.flatMap(target.fresh, (fresh) =>
          Effect.provide(
            body,
            Other.layer({ environment: "production", ...fresh, pool: { size: 24, overflow: 0, ...fresh.pool } })
          ))
      ),
      { pool: { size: 24, overflow: 0 } },
      120_000
    )
  })
}
