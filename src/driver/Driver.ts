/**
 * The contract of a driver for one database family. A driver opens connections, sends statements, stops them, resets
 * connections and classifies errors. It knows no pool, no session, no retry and no metrics.
 *
 * The contract is callback-level on purpose: a statement passes here on the hot path, and an `Effect` per step is
 * what makes the published clients slow. Whatever a callback receives is already classified; nothing here throws.
 *
 * @since 0.1.0
 */
/* eslint-disable max-lines -- One contract, read as a whole. */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Compiler, Dialect } from "@effect/sql/Statement"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConnectionError, DbError, QueryError, TimeoutError } from "../DbError.js"

/**
 * Receives the end of a request, exactly once: either an error, or `undefined` and the value. It may be called before
 * the function that took it returns (a synchronous driver does so).
 *
 * @since 0.1.0
 * @category models
 */
export interface Done<A> {
  (error: DbError | undefined, value: A): void
}

/**
 * The shape in which a statement's answer is given.
 *
 * - `rows`: an array of objects, one per row (an array of such arrays for text with several statements on drivers
 *   whose published client does so); `[]` where the statement gives none.
 * - `sets`: as `rows`; where those of several statements would be one array, an array for each statement that gives rows.
 * - `values`: an array of arrays, one per row, in column order.
 * - `raw`: what the driver's own client gives (`pg`'s `Result`, better-sqlite3's `{ changes, lastInsertRowid }`, ...).
 * - `result`: a {@link StatementResult}; that of the last statement, where the text has several.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode = "rows" | "sets" | "values" | "raw" | "result"

/**
 * What a statement gave, and what it did.
 *
 * @since 0.2.0
 * @category models
 */
export interface StatementResult<A = unknown> {
  /** The rows, as objects; `[]` where the statement gives none. */
  readonly rows: ReadonlyArray<A>
  /**
   * How many rows it inserted, updated, deleted or merged, as the database counts them; 0 where it only reads. MySQL counts 2 for a
   * row that `ON DUPLICATE KEY UPDATE` changed. SQL Server counts none under `SET NOCOUNT ON`.
   */
  readonly rowsAffected: number
  /**
   * What the database generated as the key of an inserted row: the rowid on SQLite, the AUTO_INCREMENT value on MySQL and MariaDB, there
   * that of the first row. A bigint beyond 2^53. `undefined` where it generated none, and on PostgreSQL and SQL Server, which tell it
   * by `RETURNING` and `OUTPUT`.
   */
  readonly lastInsertId: number | bigint | undefined
}

/**
 * A statement to be run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
  readonly mode: Mode
  /** Whether the statement is to be prepared once per connection and reused. `false`: `unprepared`, or text with several statements. */
  readonly prepare: boolean
  /**
   * A BEGIN that has not been sent yet. It is sent with this statement, ahead of it; when it fails, the statement must
   * not run. `undefined` where there is none.
   */
  readonly begin: string | undefined
  /** Limits the server itself is to keep for this statement, in milliseconds, where the driver has `serverLimits`. */
  readonly statementTimeout: number | undefined
  readonly lockTimeout: number | undefined
  /** Integers as `bigint` (`@effect/sql`'s `SafeIntegers`), where the driver has to be told. */
  readonly safeIntegers: boolean
  /**
   * Is told, where a COMMIT can ask it in the same round trip, how far the server has then written or replayed. Whatever becomes of that
   * question, it is no failure of the COMMIT.
   */
  readonly onPosition?: ((position: bigint | undefined) => void) | undefined
}

/**
 * The state of the connection's transaction, as the server reports it after each answer.
 *
 * @since 0.1.0
 * @category models
 */
export type TransactionStatus = "idle" | "open" | "failed"

/**
 * How far a connection is reset before it is used again: what happens to an open transaction, and whether all of
 * the connection's state is discarded or only what its statements may have changed.
 *
 * @since 0.1.0
 * @category models
 */
export type ResetPolicy = "rollback" | "commit" | "discard"

/**
 * What a fetch gives.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fetched {
  readonly rows: ReadonlyArray<unknown>
  /** There are no more; the cursor is closed already. */
  readonly done: boolean
}

/**
 * Rows that arrive as they are asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cursor {
  /** Whether other statements may run on the connection between two fetches. Where not, the session reads the rest ahead. */
  readonly interleaves: boolean
  /**
   * Tells that nothing else will run on the connection until the cursor is closed: from then on rows may be read before they
   * are fetched. `undefined` where the driver makes nothing of it.
   */
  readonly alone?: (() => void) | undefined
  /** Up to `count` further rows. One fetch at a time. */
  readonly fetch: (count: number, done: Done<Fetched>) => void
  /** Frees the cursor on the server. Idempotent; after an error or the last row it does nothing. */
  readonly close: (done: Done<void>) => void
}

/**
 * A column of a statement's answer, as it is known before the statement runs.
 *
 * @since 0.2.0
 * @category models
 */
export interface DescribedColumn {
  readonly name: string
  /** TypeScript's type of what values other than NULL are read as; `undefined` where the database does not tell the type. */
  readonly read: string | undefined
  /** TypeScript's type of the values that can be written to such a column, other than `null`. */
  readonly written: string | undefined
  /** The table's column that it is: by their names, or by their numbers in the catalog where the protocol has these. */
  readonly origin: { readonly table: string | number; readonly column: string | number } | undefined
  /** The database says of this answer that no value of the column can be NULL. */
  readonly notNull: boolean
}

/**
 * What a statement takes and gives, as it is known before the statement runs.
 *
 * @since 0.2.0
 * @category models
 */
export interface Description {
  /** For each placeholder TypeScript's type of what it takes; `undefined` where the database does not tell it. */
  readonly parameters: ReadonlyArray<string | undefined>
  /** `undefined` where the statement gives no rows, or the database does not tell. */
  readonly columns: ReadonlyArray<DescribedColumn> | undefined
}

/**
 * One physical link. At most one of `execute`, `describe`, `openCursor`, `fetch`, `ping`, `reset` is under way at a time, and none
 * beside what was sent by `pipeline`: the caller sees to that. `cancel`, `destroy` and the properties may be used at any time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  /** The id by which the server knows it (`pg_backend_pid`, `CONNECTION_ID()`, `@@SPID`), or a number of the driver's own. */
  readonly id: number
  readonly serverVersion: string
  /** The transaction as the server last told it. */
  readonly transaction: TransactionStatus
  /** Whether statements since the last reset may have changed state that the next borrower would see. */
  readonly dirty: boolean
  /**
   * A statement has acquired what its session keeps until it releases it or ends: a lock of the session, LISTEN. True
   * until all of it is released together, or the connection is reset. `undefined` where there is no such thing.
   */
  readonly holds?: boolean | undefined
  /** The link is gone: every further request fails with `ConnectionError`. */
  readonly lost: boolean
  /**
   * The link works, but is not to be used for anything that begins from now on: its server is not the one that is wanted any more,
   * as after a failover. `onLost` is called when it becomes so. `undefined` where that cannot be.
   *
   * @since 0.2.0
   */
  readonly retired?: boolean | undefined
  /**
   * Called once when the link breaks while nothing runs (or after the running request has failed), and when the connection becomes
   * {@link Connection.retired}.
   */
  onLost: ((error: ConnectionError) => void) | undefined
  readonly execute: (request: Request, done: Done<unknown>) => void
  /**
   * Runs requests one after the other in one round trip: at least one, and as many as it can within a few milliseconds.
   * Stops at the first that fails. Answers with those that have succeeded, also beside an error. `undefined` where each
   * request takes a round trip of its own.
   */
  readonly executeSome?:
    | ((
      requests: ReadonlyArray<Request>,
      done: (error: DbError | undefined, answers: ReadonlyArray<unknown>) => void
    ) => void)
    | undefined
  /**
   * Whether {@link Connection.pipeline} takes the request now: nothing that it sends depends on what those before it give.
   * `undefined` where the protocol takes one statement at a time.
   */
  readonly canPipeline?: ((request: Request) => boolean) | undefined
  /**
   * Sends a statement behind those that were sent so before and have not ended (pipeline mode, as libpq calls it). Each fails for itself,
   * in a transaction with all that are behind it. They end in the order in which they were sent, but for one that has to be sent again. What is sent waits
   * for {@link Connection.flush}. Limits that the request has are left to the caller. `onAgain` is called when it is known that it will be
   * sent again, and stands behind all others from now on.
   */
  readonly pipeline?: ((request: Request, done: Done<unknown>, onAgain?: () => void) => void) | undefined
  /** Sends what `pipeline` has gathered, in one write. */
  readonly flush?: (() => void) | undefined
  /** Says what a statement takes and gives, without running it. `undefined` where the driver cannot. */
  readonly describe?: ((text: string, done: Done<Description>) => void) | undefined
  readonly openCursor: (request: Request, done: Done<Cursor>) => void
  /** The cheapest question the server answers. */
  readonly ping: (done: Done<void>) => void
  /** Makes the connection as if newly opened. On error the caller destroys it. */
  readonly reset: (policy: ResetPolicy, done: Done<void>) => void
  /**
   * Stops what runs now, by a channel of its own. `done` is called when nothing of the cancel is under way any more,
   * so that it cannot hit a later statement. The stopped request ends through its own `done` as ever: with a
   * `QueryError`/`TimeoutError`, or with its answer when it was faster. An error here means that the cancel could not
   * be delivered; the caller then destroys the connection.
   *
   * Of several that were sent by `pipeline`, `request` names the one to be stopped; where that one is not the first of them, nothing is
   * stopped. One that the cancel hits in its place is sent again, once for each cancel, when nothing of any cancel is under way any more.
   */
  readonly cancel: (done: Done<void>, request?: Request) => void
  /** Closes gracefully: the close message is sent first. */
  readonly close: (done: Done<void>) => void
  /** Drops the link at once: no more traffic; a running request fails with `ConnectionError` `Lost`. */
  readonly destroy: () => void
  /** Whether a statement would write (for drivers with `capabilities.singleWriter`; others say `true`). */
  readonly writes: (text: string) => boolean
}

/**
 * An isolation level of the SQL standard, or SQL Server's `snapshot`.
 *
 * @since 0.1.0
 * @category models
 */
export type IsolationLevel =
  | "read uncommitted"
  | "read committed"
  | "repeatable read"
  | "serializable"
  | "snapshot"

/**
 * How a transaction is to begin.
 *
 * @since 0.1.0
 * @category models
 */
export interface BeginOptions {
  readonly isolation?: IsolationLevel | undefined
  readonly readOnly?: boolean | undefined
  readonly deferrable?: boolean | undefined
}

/**
 * The SQL of transactions in this dialect.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionSql {
  /** The text of BEGIN, or the reason why this database cannot begin so. */
  readonly begin: (options: BeginOptions) => string | { readonly unsupported: string }
  readonly commit: string
  readonly rollback: string
  readonly savepoint: (name: string) => string
  readonly rollbackTo: (name: string) => string
  /** `undefined` where the database has no RELEASE. */
  readonly release: ((name: string) => string) | undefined
  /** Makes what follows in a savepoint read-only, until the savepoint ends; `undefined` where the database cannot. */
  readonly readOnlyWithin?: string | undefined
}

/**
 * What a driver can do. The README's table is made from it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  /** Requests end before `execute` returns (the event loop waits meanwhile). */
  readonly synchronous: boolean
  /** One transaction writes at a time; the engine queues writers. */
  readonly singleWriter: boolean
  /** A running statement can be stopped. */
  readonly cancel: boolean
  /** The server keeps `statementTimeout` and `lockTimeout` of a request by itself. */
  readonly serverLimits: boolean
  /** BEGIN may be sent with the first statement and fail apart from it. */
  readonly pipelinedBegin: boolean
  /** A transaction can be asked afterwards whether it was committed. */
  readonly resolveCommit: boolean
  readonly savepoints: boolean
  /** DDL is part of a transaction. */
  readonly transactionalDdl: boolean
  readonly isolationLevels: ReadonlyArray<IsolationLevel>
  /** What refuses the writes of a read-only transaction: the database, or the driver, by the statement's text. */
  readonly readOnlyTransactions: "database" | "driver"
  /** Transactions can wait for a moment in which they cannot conflict. */
  readonly deferrable: boolean
  /** A COMMIT can be refused by constraints that are checked only then. */
  readonly deferredConstraints: boolean
  /** `createDatabase` makes a missing one: by a statement of the server's, or by opening it. */
  readonly createDatabase: boolean
  readonly listen: boolean
}

/**
 * The server of a connection, for spans, logs and reports. Holds no secret.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  /** `db.system.name` of OpenTelemetry: `sqlite`, `postgresql`, `mysql`, `mariadb`, `microsoft.sql_server`. */
  readonly system: string
  /** `db.namespace`: the database's name, or the file's path. */
  readonly namespace: string
  readonly address: string | undefined
  readonly port: number | undefined
  /** The URI without its password. */
  readonly uri: string
}

/**
 * Whether a transaction whose COMMIT got no answer was applied.
 *
 * @since 0.1.0
 * @category models
 */
export type CommitStatus = "committed" | "rolled back" | "unknown"

/**
 * How far a standby has replayed its primary's log.
 *
 * @since 0.2.0
 * @category models
 */
export interface Replayed {
  readonly position: bigint
  /** How far it is behind its primary by its own word, in seconds; `undefined` where it cannot tell. */
  readonly lag: number | undefined
  /** Names the process of the server among all that may stand behind an address; another one after a start. */
  readonly server: string
}

/**
 * Places in the log of a primary that its standbys replay: each larger than those before it.
 *
 * @since 0.2.0
 * @category models
 */
export interface Replication {
  /** How far a primary has written: all that can be seen on it is at a place before. */
  readonly written: (connection: Connection, done: Done<bigint>) => void
  /** How far a standby has replayed; `undefined` where the server is none. */
  readonly replayed: (connection: Connection, done: Done<Replayed | undefined>) => void
  /** A place as a text, and back; `undefined` for a text that is none. */
  readonly format: (position: bigint) => string
  readonly parse: (text: string) => bigint | undefined
}

/**
 * What a driver may use of the engine to build the client of its family (`PgClient`, `SqliteClient`): a connection of
 * its own outside the pool, or the engine's client. The engine implements it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientContext {
  readonly client: SqlClient
  readonly database: string
  /** Acquires a pooled connection; the scope releases it. */
  readonly connection: Effect.Effect<Connection, SqlError, Scope.Scope>
}

/**
 * One database, as an adapter presents it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Driver {
  readonly dialect: Dialect
  readonly target: Target
  readonly capabilities: Capabilities
  /**
   * The package or module that speaks to the database, with its version, once that is known. Left out where a family has
   * one only.
   */
  readonly module?: (() => string | undefined) | undefined
  /** What is unusual of the connections that were opened so far, in words, without a secret; `undefined` for nothing. */
  readonly unusual?: (() => string | undefined) | undefined
  readonly compiler: Compiler
  /** Renames columns of answers, where the configuration asks for it. */
  readonly transformRows: (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
  readonly transaction: TransactionSql
  /**
   * Opens one connection: interruptible; an interrupt closes the half-open link. Bounded by the driver's own connect
   * limit with `TimeoutError` phase `Connect`. The connection is closed by its borrower, not by a scope.
   */
  readonly open: Effect.Effect<Connection, ConnectionError | TimeoutError>
  /**
   * Creates the database that the configuration names, through one that the server always has. Succeeds when it can be
   * opened, also where another client has created it. `undefined` where opening creates it, or nothing does.
   */
  readonly createDatabase?: Effect.Effect<void, DbError> | undefined
  /** The rows that a stream asks a cursor for at a time, at most. Defaults to 512. */
  readonly fetchSize?: number | undefined
  /**
   * How a statement outside of a transaction may share its connection with others, by its text: as one that changes nothing and waits
   * for no lock, or as one that is undone as a whole when it fails. `undefined`: not at all, or where no statement may.
   */
  readonly sharing?: ((text: string) => "read" | "write" | undefined) | undefined
  /** The parameters that a statement can have at most, where there is a limit. */
  readonly mostParameters?: number | undefined
  /**
   * Looks, without a connection, whether the database is still the one that the connections have open; when it is not,
   * all of them are lost. Asked by the health check. Defaults to nothing: a server tells its connections.
   */
  readonly intact?: (() => DbError | undefined) | undefined
  /**
   * Which statements of a text commit by themselves what stands before them, as DDL does on MySQL. `undefined` where none does.
   */
  readonly commitsImplicitly?: ((text: string) => "all" | "some" | "none") | undefined
  /**
   * What the last statement of a text is sure to leave in its session for the statements to come, in words: a setting, a
   * temporary table, a lock. Asked only of texts after which the connection is `dirty`. `undefined` where nothing is.
   */
  readonly leftBehind?: ((text: string) => string | undefined) | undefined
  /** Connections the database can have at most (an in-memory SQLite database has one). */
  readonly maxConnections: number | undefined
  /**
   * The error for a fiber that asks for another session while it is inside one: it is refused at once. Defaults to none:
   * it may wait. For a database whose only connection is shared by all sessions, as a sandbox's is.
   */
  readonly refuseInner?: (() => ConnectionError) | undefined
  /** A text that names the running transaction for {@link Driver.commitStatus}; sent with `resolveCommit` only. */
  readonly transactionId: string | undefined
  /** Every COMMIT is answered, as nothing lies between the program and the database: none has to be asked about. */
  readonly answersCommits?: boolean | undefined
  /** Asks, on another connection, what became of the transaction. */
  readonly commitStatus: ((connection: Connection, transactionId: string, done: Done<CommitStatus>) => void) | undefined
  /**
   * Asks a standby how far it is behind its primary, in seconds; `undefined` where the server is none, or cannot tell. It is asked with
   * each health check. `undefined` where a server of this family is not asked.
   */
  readonly replicationLag?: ((connection: Connection, done: Done<number | undefined>) => void) | undefined
  /** Where servers of this family have replicas that tell how far they are. */
  readonly replication?: Replication | undefined
  /** The services of this family, beside `SqlClient`: `PgClient`, `SqliteClient`. */
  readonly services: (context: ClientContext) => Effect.Effect<Context.Context<never>, never, Scope.Scope>
}

/**
 * Opens a driver from its configuration. Fails when the configuration asks for what the driver cannot do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Make<Config> {
  (config: Config): Effect.Effect<Driver, ConnectionError | QueryError | TimeoutError, Scope.Scope>
}
