/**
 * A server that stands in for SQL Server: TDS 7.4 over a real socket, and a little T-SQL run by SQLite. README.md says what
 * its parts are for, and what it is not.
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
  readonly encryption?: EncryptionPolicy | undefined
  readonly tls?: TlsOptions | undefined
  /** Sessions at most; further logins get error 17809. Defaults to none. */
  readonly maxSessions?: number | undefined
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
    | "attention"
    /** A message that its client gave up half way. */
    | "ignored"
  /** The statement's text, the procedure's name, or what the transaction manager was asked for. */
  readonly text: string
  /** For `rpc`: the procedure. */
  readonly procedure: string | undefined
  /** The header asked for `sp_reset_connection`. */
  readonly reset: boolean
}

/** What tests see of a session. */
const view = ({ database, login, prepared, rowsSent, running, spid }: Session) => ({
  spid,
  user: login.username,
  application: login.application,
  database: database.name,
  running: running?.text,
  readOnlyIntent: login.readOnlyIntent,
  encrypted: login.encrypted,
  preparedStatements: prepared.size,
  /** Rows of queries that were handed to the socket. */
  rowsSent
})

export interface TdsServer {
  readonly host: "127.0.0.1"
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The sessions that are logged in. */
  readonly sessions: () => ReadonlyArray<ReturnType<typeof view>>
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
  /** Breaks all links, stops listening, and deletes the databases. */
  readonly close: () => Promise<void>
}

/** Starts a server on the loopback interface. */
export const startTdsServer = async (options: ServerOptions = {}): Promise<TdsServer> => {
  const users = new Map(
    Object.entries(options.users ?? { sa: "Str0ng!Passw0rd" }).map(([name, password]) => [name.toLowerCase(), password])
  )
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-tds-"))
  let databases: ReadonlyArray<DatabaseFile> = []
  let nextDatabase = 1
  const createDatabase = (name: string): void => {
    const id = nextDatabase++
    databases = [...databases, new DatabaseFile(name, id, path.join(folder, `${id}.db`))]
  }
  createDatabase("master")
  createDatabase("test")
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
    database: "test",
    sessions: () => sessions().map(view),
    connections: () => connections.size,
    log: [],
    faults: [],
    silent: false,
    loginError: undefined,
    kill,
    setReadOnly: (name, value) => {
      databases.find((one) => one.name === name)!.readOnly = value
    },
    close: async () => {
      const closed = new Promise((resolve) => listener.close(resolve))
      const all = [...connections]
      for (const one of all) one.destroy()
      await Promise.all([closed, ...all.map(({ gone }) => gone)])
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
  const state: ServerState = {
    server,
    users,
    options,
    nextSpid: () => nextSpid++,
    host: {
      name: "TESTSERVER",
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
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject)
    listener.listen(0, "127.0.0.1", resolve)
  })
  // A TCP server's address is never a string.
  Object.defineProperty(server, "port", { value: (listener.address() as net.AddressInfo).port })
  return server
}
