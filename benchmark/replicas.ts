/**
 * Reads per second of a database with 0, 1 and 2 replicas: one primary and two standbys on this machine, started as the tests start
 * theirs. The standbys run in each case, so that they cost the same.
 *
 *     npm run bench:replicas [-- --seconds 5 --rounds 3 --fibers 20]
 *
 * The servers and the program share the machine's processors: that there are more servers cannot show more than those give.
 *
 * After each case the servers are asked how many reads they have counted themselves: where that is another number than the program's,
 * the run ends with an error and no figure.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import pg from "pg"
import { Db } from "../src/Db.js"
import { type Server, type ServerOptions, startServer } from "../test/kit/postgresServer.js"

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
    fibers: { type: "string", default: "20" }
  }
})
const seconds = Number(options.seconds)
const rounds = Number(options.rounds)
const fibers = Number(options.fibers)

const urlOf = ({ host, password, port, user }: Server): string =>
  `postgres://${user}:${password}@${host}:${port}/postgres`

const query = (server: Server, text: string): Effect.Effect<ReadonlyArray<Record<string, unknown>>> =>
  Effect.promise(async () => {
    const client = new pg.Client({ connectionString: urlOf(server) })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  })

const serverOf = (options: ServerOptions): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => startServer(options)), (server) => Effect.promise(() => server.dispose()))

/** A primary with rows to read, and two standbys that have replayed them. */
const cluster = Effect.gen(function*() {
  const primary = yield* serverOf({ tls: false, hba: ["host replication all 127.0.0.1/32 scram-sha-256"] })
  yield* query(
    primary,
    "CREATE TABLE item AS SELECT id, md5(id::text) AS body FROM generate_series(1, 10000) AS id; " +
      "ALTER TABLE item ADD PRIMARY KEY (id); ANALYZE item; CREATE TABLE written (fiber int PRIMARY KEY, n int NOT NULL); " +
      `INSERT INTO written SELECT fiber, 0 FROM generate_series(0, ${fibers - 1}) AS fiber`
  )
  yield* Effect.promise(() => primary.stop("fast"))
  const standbys = [
    yield* serverOf({ tls: false, standbyOf: primary }),
    yield* serverOf({ tls: false, standbyOf: primary })
  ]
  yield* Effect.promise(() => primary.start())
  for (const standby of standbys) {
    yield* Effect.repeat(query(standby, "SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'"), {
      until: (rows) => rows.length === 1
    })
  }
  return { primary, standbys }
})

type Work = (fiber: number, turn: number) => Effect.Effect<unknown, unknown, Db>

/** How many reads of `item` were answered. */
let answered = 0

const item = (turn: number) =>
  Effect.map(Db.query("SELECT body FROM item WHERE id = :id", { id: 1 + turn * 7919 % 10_000 }), (rows) => {
    answered += rows.length
  })

/** How many reads of `item` the servers have counted. A server knows it for certain when the connections have ended. */
const counted = (servers: ReadonlyArray<Server>): Effect.Effect<number> =>
  Effect.map(
    Effect.forEach(servers, (server) =>
      query(server, "SELECT idx_scan::int AS n FROM pg_stat_user_tables WHERE relname = 'item'")),
    (found) => found.reduce((sum, [row]) => sum + Number(row?.["n"] ?? 0), 0)
  )

const workloads: ReadonlyArray<readonly [name: string, work: Work]> = [
  ["a statement on the primary, without `Db.read`", (_, turn) => item(turn)],
  ["`Db.read` of one row", (_, turn) => Db.read(item(turn))],
  [
    "`Db.read` of one row, every tenth behind a write of its fiber",
    (fiber, turn) =>
      turn % 10 === 0
        ? Effect.zipRight(
          Db.query("UPDATE written SET n = n + 1 WHERE fiber = :fiber", { fiber }),
          Db.read(Db.query("SELECT n FROM written WHERE fiber = :fiber", { fiber }))
        )
        : Db.read(item(turn))
  ],
  [
    "`Db.read` that costs the server about 2 ms",
    () => Db.read(Db.query("SELECT sum(sqrt(n)) FROM generate_series(1, 15000) AS n"))
  ]
]

/** How often all fibers together did it in a second. */
const measured = (work: Work, seconds: number): Effect.Effect<number, unknown, Db> =>
  Effect.gen(function*() {
    let count = 0
    const began = performance.now()
    const until = began + seconds * 1000
    yield* Effect.forEach(
      Array.from({ length: fibers }, (_, fiber) => fiber),
      (fiber) =>
        Effect.gen(function*() {
          for (let turn = fiber; performance.now() < until; turn++) {
            yield* work(fiber, turn)
            count++
          }
        }),
      { concurrency: "unbounded", discard: true }
    )
    return count / (performance.now() - began) * 1000
  })

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

/** How many reads ran on the replicas, of all. */
const share = Effect.map(Db.info, ({ reads, replicas }) => {
  const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)
  const there = replicas.reduce((all, { reads }) => all + sum(reads), 0)
  const all = there + sum(reads)
  return all === 0 ? "" : ` (${Math.round(there / all * 100)}% on replicas)`
})

const program = Effect.gen(function*() {
  const { primary, standbys } = yield* cluster
  const [version] = yield* query(primary, "SELECT version()")
  console.log(`${String(version!["version"])}; ${cpus().length} x ${cpus()[0]?.model}; Node ${process.version}`)
  console.log(`${fibers} fibers, ${seconds} s, median of ${rounds} rounds, in reads per second\n`)
  console.log("| | 0 replicas | 1 replica | 2 replicas |\n|---|---|---|---|")
  for (const [name, work] of workloads) {
    const cells: Array<string> = []
    for (const count of [0, 1, 2]) {
      const cell = Effect.gen(function*() {
        yield* measured(work, 1)
        const found = yield* Effect.replicateEffect(measured(work, seconds), rounds)
        return `${Math.round(median(found)).toLocaleString("en")}${yield* share}`
      }).pipe(Effect.provide(Db.layer({
        url: urlOf(primary),
        environment: "production",
        replicas: standbys.slice(0, count).map((standby) => ({ url: urlOf(standby) })),
        pool: { size: 10 }
      })))
      const before = yield* counted([primary, ...standbys])
      answered = 0
      cells.push(yield* cell)
      yield* Effect.retry(
        Effect.flatMap(counted([primary, ...standbys]), (after) =>
          after - before === answered
            ? Effect.void
            : Effect.fail(new Error(`${name}: ${answered} reads were answered, and the servers have counted ${after - before}`))),
        Schedule.intersect(Schedule.spaced("200 millis"), Schedule.recurs(20))
      )
    }
    console.log(`| ${name} | ${cells.join(" | ")} |`)
  }
})

void Effect.runPromise(Effect.scoped(program).pipe(Logger.withMinimumLogLevel(LogLevel.Warning)))
