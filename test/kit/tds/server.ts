/**
 * A server that stands in for SQL Server: TDS 7.4 over a real socket, a list of T-SQL run by SQLite.
 *
 * What it shows: what a client sends and when, the life of a connection, cancellation, pool hygiene, error mapping, a
 * commit in doubt, TLS, fragmentation. What it does not: the optimiser, row locks, escalation, collations, real error
 * texts, T-SQL beyond its list, NTLM or Entra, performance. What it does not know it refuses with error 49000.
 *
 * Exports: `startTdsServer(options)`, `TdsServer`, `Fault`.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Connection, type ServerState } from "./connection.js"
import { DatabaseFile } from "./sql/database.js"
import type { Session } from "./sql/session.js"
import type { TlsOptions } from "./transport.js"

/** How the server answers a client's wish to encrypt. */
export type EncryptionPolicy =
  /** Encrypts when the client wants to. */
  | "on"
  /** Refuses clients that do not. */
  | "required"
  /** Cannot. */
  | "unsupported"

export interface ServerOptions {
  /** Users and their passwords. Defaults to `sa` with `Str0ng!Passw0rd`. */
  readonly users?: Readonly<Record<string, string>> | undefined
  /** Defaults to `master` and `test`. */
  readonly databases?: ReadonlyArray<string> | undefined
  /** Databases in which nothing can be written. */
  readonly readOnlyDatabases?: ReadonlyArray<string> | undefined
  readonly encryption?: EncryptionPolicy | undefined
  readonly tls?: TlsOptions | undefined
  /** The largest packet size the server agrees to. Defaults to 4096. */
  readonly packetSize?: number | undefined
  /** Sessions at most; further logins get error 17809. Defaults to none. */
  readonly maxSessions?: number | undefined
  /** Defaults to a free one. */
  readonly port?: number | undefined
  /** Splits what is sent into pieces of this many bytes. */
  readonly fragment?: number | undefined
}

/** Something that goes wrong once, at the next request whose text (or kind, such as `COMMIT`) contains `when`. */
export interface Fault {
  readonly when: string
  /**
   * - `drop-before`: the link breaks, the request is not run.
   * - `drop-after`: the request is run, the link breaks instead of the answer.
   * - `hang`: the request is never run nor answered, attention included.
   * - an error: it is sent instead of an answer.
   */
  readonly action: "drop-before" | "drop-after" | "hang" | { readonly number: number; readonly message: string }
}

/** A request that the server got. */
export interface LoggedRequest {
  readonly spid: number
  readonly kind:
    | "batch"
    | "rpc"
    | "transaction"
    | "attention"
    /** A message that its client gave up half way. */
    | "ignored"
  /** The statement's text, the procedure's name, or what the transaction manager was asked for. */
  readonly text: string
  /** For `rpc`: the procedure. */
  readonly procedure: string | undefined
  /** For `rpc`: the declaration of the parameters. */
  readonly declaration: string | undefined
  /** The header asked for `sp_reset_connection`. */
  readonly reset: boolean
}

export interface TdsServer {
  readonly host: "127.0.0.1"
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The sessions that are logged in. */
  readonly sessions: () => ReadonlyArray<{
    readonly spid: number
    readonly user: string
    readonly application: string
    readonly database: string
    readonly running: string | undefined
    readonly openTransactions: number
    readonly isolation: string
    readonly lockTimeout: number
    readonly readOnlyIntent: boolean
    readonly encrypted: boolean
    readonly waitingFor: string | undefined
    readonly temporaryTables: number
    readonly preparedStatements: number
    /** Rows of queries that were handed to the socket. */
    readonly rowsSent: number
  }>
  /** Sockets that are open, logged in or not. */
  readonly connections: () => number
  /** What was asked of it, oldest first (the last 10,000). */
  readonly log: Array<LoggedRequest>
  /** What is to go wrong. */
  readonly faults: Array<Fault>
  /** Accepts connections and answers nothing, while true. */
  silent: boolean
  /** Logins get this error, while set. */
  loginError: { readonly number: number; readonly message: string } | undefined
  /** Breaks a session's link. */
  readonly kill: (spid: number) => boolean
  readonly setReadOnly: (database: string, readOnly: boolean) => void
  /** Breaks all links and stops listening; the databases stay. */
  readonly stop: () => Promise<void>
  /** Listens again on the same port. */
  readonly start: () => Promise<void>
  /** Stops, and deletes the databases. */
  readonly close: () => Promise<void>
}

/** Starts a server on the loopback interface. */
export const startTdsServer = async (options: ServerOptions = {}): Promise<TdsServer> => {
  const users = new Map(
    Object.entries(options.users ?? { sa: "Str0ng!Passw0rd" }).map(([name, password]) => [name.toLowerCase(), password])
  )
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-tds-"))
  const names = options.databases ?? ["master", "test"]
  const readOnly = new Set(options.readOnlyDatabases ?? [])
  let databases: ReadonlyArray<DatabaseFile> = []
  let nextDatabase = 1
  const createDatabase = (name: string): void => {
    const id = nextDatabase++
    databases = [...databases, new DatabaseFile(name, id, path.join(folder, `${id}.db`), readOnly.has(name))]
  }
  names.forEach(createDatabase)
  const connections = new Set<Connection>()
  let nextSpid = 51
  let descriptor = 0n
  const sessions = (): ReadonlyArray<Session> =>
    [...connections].flatMap((one) => one.session === undefined ? [] : [one.session])
  const kill = (spid: number): boolean => {
    const found = [...connections].find((one) => one.session?.spid === spid)
    found?.destroy()
    return found !== undefined
  }
  const server: TdsServer = {
    host: "127.0.0.1",
    port: 0,
    user: [...users.keys()][0]!,
    password: [...users.values()][0]!,
    database: names[names.length - 1]!,
    sessions: () =>
      sessions().map((one) => ({
        spid: one.spid,
        user: one.login.user,
        application: one.login.application,
        database: one.database.name,
        running: one.running?.text,
        openTransactions: one.transactionCount,
        isolation: one.isolation,
        lockTimeout: one.options.lockTimeout,
        readOnlyIntent: one.login.readOnlyIntent,
        encrypted: one.login.encrypted,
        waitingFor: one.waitingFor?.name,
        temporaryTables: one.temporaryTables,
        preparedStatements: one.prepared.size,
        rowsSent: one.rowsSent
      })),
    connections: () => connections.size,
    log: [],
    faults: [],
    silent: false,
    loginError: undefined,
    kill,
    setReadOnly: (name, value) => {
      const found = databases.find((one) => one.name === name)
      if (found === undefined) throw new Error(`no database ${name}`)
      found.readOnly = value
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      await Promise.all([...connections].map((one) => {
        one.destroy()
        return one.gone
      }))
      await closed
    },
    start: () => listen(server.port),
    close: async () => {
      if (listener.listening) await server.stop()
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
  const state: ServerState = {
    server,
    users,
    encryption: options.encryption ?? "on",
    tls: options.tls,
    packetSize: options.packetSize ?? 4096,
    maxSessions: options.maxSessions,
    fragment: options.fragment,
    nextSpid: () => nextSpid++,
    host: {
      name: "TESTSERVER",
      version: "Microsoft SQL Server stand-in of dblive's tests",
      database: (name) => databases.find((one) => one.name.toLowerCase() === name.toLowerCase()),
      databases: () => databases,
      createDatabase,
      dropDatabase: (database) => {
        databases = databases.filter((one) => one !== database)
      },
      sessions,
      kill,
      nextDescriptor: () => ++descriptor
    },
    closed: (connection) => void connections.delete(connection)
  }
  const listener = net.createServer({ noDelay: true }, (socket) => {
    connections.add(new Connection(state, socket))
  })
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      listener.once("error", reject)
      listener.listen(port, "127.0.0.1", () => {
        listener.removeListener("error", reject)
        resolve()
      })
    })
  await listen(options.port ?? 0)
  // A TCP server's address is never a string.
  Object.defineProperty(server, "port", { value: (listener.address() as net.AddressInfo).port })
  return server
}
