/**
 * What is measured: the table of workloads, their sizes and goals, and the data they run on.
 */

/** The databases that are measured. */
export type Family = "postgresql" | "sqlite"

/** How much of a workload is run. */
export interface Size {
  /** Operations, rows or milliseconds: the workload's title says which. */
  readonly count: number
  /** Fibers (or promise chains) at the same time. */
  readonly fibers: number
}

/** One row of the benchmark. */
export interface Workload {
  readonly id: string
  readonly family: Family
  readonly title: string
  readonly unit: string
  /** Whether a larger value is the better one. */
  readonly better: "more" | "less"
  readonly fibers: number
  /** `count` of a full run, of a quick one, and of the warm-up before each round. */
  readonly full: number
  readonly quick: number
  readonly warm: number
  /** Each round runs in a process of its own, where a used one would hide what is measured (peak memory). */
  readonly fresh: boolean
  /** The sum a correct run gives, checked for every peer in every round. */
  readonly checksum: (count: number) => number
  /** The rows a correct run leaves in `table`. */
  readonly written?: { readonly table: string; readonly rows: (count: number) => number }
  /** What is asked of `dblive`. A ratio, unless `of` names a figure. */
  readonly goals: ReadonlyArray<Goal>
}

/** What is asked of one peer. */
export interface Goal {
  readonly peer: string
  readonly of: "ratio" | "value" | "memory" | "ratio p99"
  /** The peer to which the ratio is, where it is not the baseline. */
  readonly than?: string
  readonly atLeast?: number
  readonly atMost?: number
}

/** Rows of the table that point selects read. */
export const itemRows = 100_000

/** Rows of one W4 insert, and of one S3 transaction. */
export const bulkRows = 1_000
export const batchRows = 100

/** Connections of each peer's pool. */
export const connections = 10

/** Length of a `body` in the table `item`. */
export const bodyLength = 96

/** A row of the table `item`, as every peer gives it. */
export interface Item {
  readonly id: number
  readonly num: number
  readonly name: string
  readonly body: string
  readonly active: boolean | number
}

/** The id that operation `i` reads: all over the table, the same for every peer. */
export const idOf = (i: number): number => 1 + (i * 7919) % itemRows

/** What reading a row adds to the checksum: nothing that a peer leaves undecoded would give it. */
export const sumOf = (row: Item): number => row.num + row.body.length + (row.active ? 1 : 0)

/** What `sumOf` is for the row with this id. */
export const expectedItem = (id: number): number => (id * 31) % 1009 + bodyLength + (id % 3 === 0 ? 1 : 0)

const expectedItems = (count: number): number => {
  let sum = 0
  for (let i = 0; i < count; i++) sum += expectedItem(idOf(i))
  return sum
}

const sumTo = (count: number): number => count * (count + 1) / 2

/** A row of a W4 insert. */
export interface BulkRow {
  readonly id: number
  readonly num: number
  readonly name: string
}

/** The rows of the `i`-th W4 insert. */
export const bulkOf = (i: number): ReadonlyArray<BulkRow> =>
  Array.from({ length: bulkRows }, (_, n) => ({ id: i * bulkRows + n, num: n * 7, name: `name of ${n}` }))

/** The statements of the workloads, as they are written by hand; `$1` for the parameters. */
export const statements = {
  ping: "SELECT 1",
  item: "SELECT id, num, name, body, active FROM item WHERE id = $1",
  account: "SELECT id, balance FROM account WHERE id = $1",
  deposit: "UPDATE account SET balance = balance + $1 WHERE id = $2",
  entry: "INSERT INTO entry (account_id, amount) VALUES ($1, $2)",
  bulk: `INSERT INTO bulk (id, num, name) VALUES ${
    Array.from({ length: bulkRows }, (_, n) => `($${n * 3 + 1}, $${n * 3 + 2}, $${n * 3 + 3})`).join(", ")
  }`,
  /** A statement of a second. */
  second: "SELECT pg_sleep(1)",
  /** A text that reads a view; how long it takes is in the table `pace`, whose row the other text writes. */
  paced: "SELECT turned FROM paced WHERE turned > 0",
  pace: "UPDATE pace SET seconds = $1",
  /** Rows made by the server as they are read, so that nothing but their way to the client is measured. */
  series: "SELECT id, id * 7 AS num, 'name of the row' AS name FROM (SELECT generate_series(1, $1::int) AS id) AS made"
} as const

/** The same for SQLite. */
export const sqliteStatements = {
  item: "SELECT id, num, name, body, active FROM item WHERE id = ?",
  entry: "INSERT INTO entry (account_id, amount) VALUES (?, ?)",
  scan: "SELECT id, num, name FROM big WHERE id <= ?",
  heavy:
    "WITH RECURSIVE made(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM made WHERE n < ?) SELECT count(*) AS n FROM made"
} as const

const workload = (
  row: Pick<Workload, "id" | "family" | "title" | "unit" | "full" | "quick" | "warm" | "checksum"> & Partial<Workload>
): Workload => ({ better: "more", fibers: 1, fresh: false, goals: [], ...row })

/** Every workload, in the order in which they are run and printed. */
export const workloads: ReadonlyArray<Workload> = [
  workload({
    id: "W1",
    family: "postgresql",
    title: "point select, 64 fibers on 10 connections",
    unit: "selects/s",
    fibers: 64,
    full: 30_000,
    quick: 4_000,
    warm: 6_000,
    checksum: expectedItems,
    goals: [
      { peer: "dblive", of: "ratio", atLeast: 3 },
      { peer: "dblive", of: "ratio", than: "effect4-sql-pg-multiplex", atLeast: 1 },
      { peer: "dblive-traced", of: "ratio", atLeast: 0.9 }
    ]
  }),
  workload({
    id: "W1.16",
    family: "postgresql",
    title: "point select, 16 fibers on 10 connections",
    unit: "selects/s",
    fibers: 16,
    full: 30_000,
    quick: 4_000,
    warm: 6_000,
    checksum: expectedItems
  }),
  workload({
    id: "W1.1000",
    family: "postgresql",
    title: "point select, 1,000 fibers on 10 connections",
    unit: "selects/s",
    fibers: 1_000,
    full: 30_000,
    quick: 4_000,
    warm: 6_000,
    checksum: expectedItems
  }),
  workload({
    id: "W2",
    family: "postgresql",
    title: "a session: checkout, point select, return; peers ask the connection each time, dblive (by default) not one " +
      "that was in use just before; 64 fibers on 10 connections",
    unit: "sessions/s",
    fibers: 64,
    full: 15_000,
    quick: 2_500,
    warm: 4_000,
    checksum: expectedItems,
    goals: [{ peer: "dblive", of: "ratio", atLeast: 1.5 }]
  }),
  workload({
    id: "W2.asked",
    family: "postgresql",
    title: "the same, and every peer asks each time, dblive too (validateAfter: 0)",
    unit: "sessions/s",
    fibers: 64,
    full: 15_000,
    quick: 2_500,
    warm: 4_000,
    checksum: expectedItems
  }),
  workload({
    id: "W3",
    family: "postgresql",
    title: "a transaction: select, update, insert; 16 fibers on 10 connections",
    unit: "transactions/s",
    fibers: 16,
    full: 8_000,
    quick: 1_000,
    warm: 2_000,
    checksum: (count) => count,
    written: { table: "entry", rows: (count) => count },
    goals: [{ peer: "dblive", of: "ratio", atLeast: 1.6 }]
  }),
  workload({
    id: "W4",
    family: "postgresql",
    title: "insert of 1,000 rows by one statement, one at a time",
    unit: "rows/s",
    full: 100,
    quick: 20,
    warm: 20,
    checksum: (count) => count * bulkRows,
    written: { table: "bulk", rows: (count) => count * bulkRows },
    goals: [{ peer: "dblive", of: "ratio", atLeast: 1.5 }]
  }),
  workload({
    id: "W5",
    family: "postgresql",
    title: "stream of 1,000,000 rows",
    unit: "rows/s",
    full: 1_000_000,
    quick: 100_000,
    warm: 300_000,
    fresh: true,
    checksum: sumTo,
    goals: [{ peer: "dblive", of: "ratio", atLeast: 0.9 }, { peer: "dblive", of: "memory", atMost: 64 }]
  }),
  workload({
    id: "W6.free",
    family: "postgresql",
    title: "checkout and return of a free connection",
    unit: "µs",
    better: "less",
    full: 100_000,
    quick: 10_000,
    warm: 100_000,
    checksum: (count) => count,
    goals: [{ peer: "dblive", of: "value", atMost: 2 }]
  }),
  workload({
    id: "W6.contended",
    family: "postgresql",
    title: "checkout, one turn of the event loop, return; 64 fibers on 10 connections",
    unit: "checkouts/s",
    fibers: 64,
    full: 60_000,
    quick: 8_000,
    warm: 8_000,
    checksum: (count) => count,
    goals: [{ peer: "dblive", of: "ratio p99", atMost: 1 }]
  }),
  workload({
    id: "W7",
    family: "postgresql",
    title: "client CPU of 100,000 point selects, 64 fibers on 10 connections",
    unit: "CPU s",
    better: "less",
    fibers: 64,
    full: 30_000,
    quick: 4_000,
    warm: 6_000,
    checksum: expectedItems,
    // 0.9 s, where `pg` takes 2.15: how many seconds it is says as much of the machine.
    goals: [{ peer: "dblive", of: "ratio", atMost: 0.42 }, { peer: "dblive", of: "value", atMost: 0.9 }]
  }),
  workload({
    id: "W8.busy",
    family: "postgresql",
    title: "p99 of evenly paced point selects; 2 of 10 connections are taken by statements of 1 s; 64 fibers",
    unit: "ms",
    better: "less",
    fibers: 64,
    full: 6_000,
    quick: 3_000,
    warm: 1_500,
    checksum: () => 0,
    goals: [
      { peer: "dblive", of: "ratio", than: "dblive-unshared", atMost: 1.1 },
      { peer: "dblive", of: "ratio p99", than: "dblive-unshared", atMost: 1.1 }
    ]
  }),
  workload({
    id: "W8.turn",
    family: "postgresql",
    title: "p99 of evenly paced point selects; a text of 4 further fibers turns from 1 ms to 500 ms; 64 fibers on 10 connections",
    unit: "ms",
    better: "less",
    fibers: 64,
    full: 6_000,
    quick: 3_000,
    warm: 1_500,
    checksum: () => 0,
    goals: [
      { peer: "dblive", of: "ratio", than: "dblive-unshared", atMost: 1.1 },
      { peer: "dblive", of: "ratio p99", than: "dblive-unshared", atMost: 1.1 }
    ]
  }),
  workload({
    id: "S1",
    family: "sqlite",
    title: "point select, one at a time",
    unit: "selects/s",
    full: 100_000,
    quick: 15_000,
    warm: 20_000,
    checksum: expectedItems,
    goals: [
      { peer: "dblive-sqlite", of: "ratio", atLeast: 0.4 },
      { peer: "dblive-sqlite", of: "ratio", than: "effect-sql-sqlite", atLeast: 2 },
      { peer: "dblive-sqlite-worker", of: "ratio", than: "better-sqlite3-worker", atLeast: 1 }
    ]
  }),
  workload({
    id: "S2",
    family: "sqlite",
    title: "single inserts, one at a time",
    unit: "inserts/s",
    full: 40_000,
    quick: 4_000,
    warm: 6_000,
    checksum: (count) => count,
    written: { table: "entry", rows: (count) => count },
    goals: [
      { peer: "dblive-sqlite", of: "ratio", atLeast: 0.6 },
      { peer: "dblive-sqlite", of: "ratio", than: "effect-sql-sqlite", atLeast: 2 },
      { peer: "dblive-sqlite-worker", of: "ratio", than: "better-sqlite3-worker", atLeast: 1 }
    ]
  }),
  workload({
    id: "S3",
    family: "sqlite",
    title: "a transaction of 100 inserts, one at a time",
    unit: "transactions/s",
    full: 1_500,
    quick: 200,
    warm: 300,
    checksum: (count) => count * batchRows,
    written: { table: "entry", rows: (count) => count * batchRows },
    goals: [
      { peer: "dblive-sqlite", of: "ratio", atLeast: 0.25 },
      { peer: "dblive-sqlite", of: "ratio", than: "effect-sql-sqlite", atLeast: 2 }
    ]
  }),
  workload({
    id: "S3.list",
    family: "sqlite",
    title: "a transaction of 100 inserts, handed over as one list",
    unit: "transactions/s",
    full: 1_500,
    quick: 200,
    warm: 300,
    checksum: (count) => count * batchRows,
    written: { table: "entry", rows: (count) => count * batchRows },
    goals: [{ peer: "dblive-sqlite-worker", of: "ratio", than: "better-sqlite3-worker", atLeast: 1 }]
  }),
  workload({
    id: "S4",
    family: "sqlite",
    title: "scan of 1,000,000 rows by stream",
    unit: "rows/s",
    full: 1_000_000,
    quick: 100_000,
    warm: 300_000,
    fresh: true,
    checksum: sumTo,
    goals: [
      { peer: "dblive-sqlite", of: "ratio", atLeast: 0.7 },
      { peer: "dblive-sqlite-worker", of: "ratio", than: "better-sqlite3-worker", atLeast: 1 }
    ]
  }),
  workload({
    id: "S5",
    family: "sqlite",
    title: "longest delay of the event loop during a heavy query",
    unit: "ms",
    better: "less",
    full: 4_000_000,
    quick: 1_500_000,
    warm: 100_000,
    checksum: (count) => count,
    goals: [{ peer: "dblive-sqlite-worker", of: "value", atMost: 20 }]
  }),
  workload({
    id: "S6",
    family: "sqlite",
    title: "share of their speed that readers keep while a writer transaction is open",
    unit: "of 1",
    fibers: 4,
    full: 1_500,
    quick: 400,
    warm: 200,
    checksum: () => 0,
    goals: [{ peer: "dblive-sqlite", of: "value", atLeast: 0.8 }]
  })
]

/** How the cost grows: run by `waiters.ts`, no rows of the benchmark. */
export const growth: ReadonlyArray<Workload> = [
  workload({
    id: "G.waiting",
    family: "postgresql",
    title: "memory of one fiber that waits for a connection, its loop included",
    unit: "bytes",
    better: "less",
    full: 10_000,
    quick: 2_000,
    warm: 500,
    checksum: (count) => count
  }),
  workload({
    id: "G.connection",
    family: "postgresql",
    title: "memory of one open connection in the client",
    unit: "bytes",
    better: "less",
    full: 100,
    quick: 40,
    warm: 0,
    fresh: true,
    checksum: (count) => count
  }),
  workload({
    id: "G.soak",
    family: "postgresql",
    title: "growth of the heap under mixed load: selects, sessions, transactions, streams, checkouts",
    unit: "KiB/min",
    better: "less",
    fibers: 32,
    full: 600,
    quick: 20,
    warm: 0,
    checksum: () => 0
  })
]
