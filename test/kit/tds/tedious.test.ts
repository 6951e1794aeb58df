/** The server as `tedious` sees it: a client that nobody here wrote. */
import * as Tedious from "tedious"
import type { DataType } from "tedious/lib/data-type.js"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { standInCertificates } from "../mssql.js"
import { type ServerOptions, startTdsServer, type TdsServer } from "./server.js"

const { ISOLATION_LEVEL, TYPES } = Tedious

interface Failure {
  readonly number: number | undefined
  readonly code: string | undefined
  readonly message: string
}

/** The type and value of a parameter, with the options of its type. */
type Given = readonly [type: DataType, value: unknown, options?: object | undefined]

/** One connection, with promises in place of callbacks. */
class Client {
  constructor(readonly raw: Tedious.Connection) {}

  static async open(server: TdsServer, options: Tedious.ConnectionConfiguration["options"] = {}): Promise<Client> {
    const raw = new Tedious.Connection({
      server: "localhost",
      authentication: { type: "default", options: { userName: server.user, password: server.password } },
      options: { port: server.port, database: server.database, encrypt: false, requestTimeout: 0, ...options }
    })
    const told: Array<number> = []
    raw.on("errorMessage", ({ number }: { readonly number: number }) => told.push(number))
    raw.on("error", () => {})
    await new Promise<void>((resolve, reject) =>
      raw.connect((error) => error ? reject(Object.assign(error, { told })) : resolve())
    )
    return new Client(raw)
  }

  /** Sends a batch, or a procedure with parameters; resolves with rows as objects, or with what failed. */
  async run(text: string, ...params: ReadonlyArray<Given>) {
    const rows: Array<Record<string, unknown>> = []
    const counts: Array<number> = []
    const result = await new Promise<Error | undefined>((resolve) => {
      const request = new Tedious.Request(text, (error) => resolve(error ?? undefined))
      request.on("row", (columns: ReadonlyArray<{ metadata: { colName: string }; value: unknown }>) => {
        rows.push(Object.fromEntries(columns.map((column) => [column.metadata.colName, column.value])))
      })
      const count = (n: number | undefined) => n === undefined || counts.push(n)
      request.on("done", count)
      request.on("doneInProc", count)
      params.forEach(([type, value, options], i) => request.addParameter(String(i + 1), type, value, options ?? {}))
      if (params.length === 0) this.raw.execSqlBatch(request)
      else this.raw.execSql(request)
    })
    if (result !== undefined) throw result
    return { rows, counts }
  }

  async rows(text: string, ...params: ReadonlyArray<Given>) {
    return (await this.run(text, ...params)).rows
  }

  /** The numbers of the errors that a text is answered with. */
  async fails(text: string, ...params: ReadonlyArray<Given>) {
    try {
      await this.run(text, ...params)
    } catch (error) {
      const all = error instanceof AggregateError ? error.errors as Array<Failure> : [error as Failure]
      return all.map((one) => one.number)
    }
    return []
  }

  private call(run: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => run((error) => error ? reject(error) : resolve()))
  }

  begin = (isolation?: number) => this.call((done) => this.raw.beginTransaction(done, "", isolation))
  commit = () => this.call((done) => this.raw.commitTransaction(done))
  rollback = (name?: string) => this.call((done) => this.raw.rollbackTransaction(done, name))
  save = (name: string) => this.call((done) => this.raw.saveTransaction(done, name))
  reset = () => this.call((done) => this.raw.reset(done))
  close = () => this.raw.close()
}

const withServer = (options: ServerOptions, body: (server: TdsServer) => Promise<void>) => async () => {
  const server = await startTdsServer(options)
  try {
    await body(server)
  } finally {
    await server.close()
  }
}

/** Until a condition of the server's state holds. */
const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setImmediate(resolve))
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(condition()).toBe(true)
}

describe("logging in", () => {
  it(
    "with the right password, and into the database that was named",
    withServer({}, async (server) => {
      const client = await Client.open(server, { appName: "tests", readOnlyIntent: true })
      expect(await client.rows("SELECT DB_NAME() AS d, SUSER_SNAME() AS u, APP_NAME() AS a")).toEqual([
        { d: "test", u: "sa", a: "tests" }
      ])
      expect(server.sessions()).toMatchObject([{ readOnlyIntent: true, encrypted: false, application: "tests" }])
      client.close()
    })
  )

  it(
    "not with another one",
    withServer({}, async (server) => {
      await expect(Client.open({ ...server, password: "wrong" })).rejects.toMatchObject({ told: [18456] })
      await expect(Client.open({ ...server, user: "nobody" })).rejects.toMatchObject({ told: [18456] })
      expect(server.sessions()).toEqual([])
    })
  )

  it(
    "not into an unknown database: 4060, then 18456",
    withServer({}, async (server) => {
      await expect(Client.open({ ...server, database: "nowhere" }, { maxRetriesOnTransientErrors: 0 })).rejects
        .toMatchObject({ told: [4060, 18456] })
    })
  )

  it(
    "not beyond the number of sessions",
    withServer({ maxSessions: 1 }, async (server) => {
      const client = await Client.open(server)
      await expect(Client.open(server)).rejects.toMatchObject({ told: [17809] })
      client.close()
      await until(() => server.sessions().length === 0)
      ;(await Client.open(server)).close()
    })
  )

  it("encrypted, with the certificate checked", async () => {
    const { authority, server: certificate } = await standInCertificates()
    await withServer({ tls: certificate }, async (server) => {
      const trusted = { encrypt: true, trustServerCertificate: false, cryptoCredentialsDetails: { ca: authority.cert } }
      const client = await Client.open(server, trusted)
      expect(server.sessions()).toMatchObject([{ encrypted: true }])
      const long = "é".repeat(100_000)
      expect(await client.rows("SELECT @1 AS v", [TYPES.NVarChar, long])).toEqual([{ v: long }])
      client.close()
      await expect(Client.open(server, { ...trusted, cryptoCredentialsDetails: {} })).rejects.toThrow(/certificate/)
    })()
    await withServer({ tls: certificate, encryption: "required" }, async (server) => {
      await expect(Client.open(server)).rejects.toMatchObject({ code: "EENCRYPT" })
    })()
  })

  it("strictly encrypted from the first byte", async () => {
    const { authority, server: certificate } = await standInCertificates()
    await withServer({ tls: certificate }, async (server) => {
      const client = await Client.open(server, {
        encrypt: "strict",
        cryptoCredentialsDetails: { ca: authority.cert }
      })
      expect(await client.rows("SELECT 1 AS n")).toEqual([{ n: 1 }])
      expect(server.sessions()).toMatchObject([{ encrypted: true }])
      client.close()
    })()
  })
})

describe("statements", () => {
  let server: TdsServer
  let client: Client
  beforeAll(async () => {
    // Answers in pieces of a prime number of bytes: nothing may rely on how they arrive together.
    server = await startTdsServer({ fragment: 97 })
    client = await Client.open(server)
    await client.run(`
      CREATE TABLE parent (id INT IDENTITY(10, 5) CONSTRAINT pk_parent PRIMARY KEY, name NVARCHAR(20) NOT NULL
        CONSTRAINT uq_name UNIQUE, amount DECIMAL(18, 2) NULL CONSTRAINT ck_amount CHECK (amount > 0))
      CREATE TABLE child (id INT NOT NULL PRIMARY KEY, parent_id INT NULL CONSTRAINT fk_parent REFERENCES parent (id))
      CREATE UNIQUE INDEX ix_amount ON parent (amount)`)
  })
  afterAll(async () => {
    client.close()
    await server.close()
  })

  it("write, count, give back and read", async () => {
    const inserted = await client.run(
      "INSERT INTO parent (name, amount) OUTPUT INSERTED.* VALUES (@1, @2), (N'b', 2.5)",
      [TYPES.NVarChar, "añ中"],
      [TYPES.Float, 1.25]
    )
    expect(inserted).toEqual({
      rows: [{ id: 10, name: "añ中", amount: 1.25 }, { id: 15, name: "b", amount: 2.5 }],
      counts: [2]
    })
    expect((await client.run("UPDATE parent SET amount = amount + 1 WHERE id = 10")).counts).toEqual([1])
    expect(await client.rows("SELECT amount FROM parent ORDER BY amount DESC")).toEqual([{ amount: 2.5 }, {
      amount: 2.25
    }])
    expect(await client.rows("SELECT TOP (1) name FROM parent ORDER BY id DESC")).toEqual([{ name: "b" }])
    expect(await client.rows("SELECT name FROM parent ORDER BY id OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY")).toEqual([
      { name: "b" }
    ])
    expect(await client.rows("SELECT COUNT(*) AS n, SUM(amount) AS s, MIN(name) AS m FROM parent")).toEqual([
      { n: 2, s: 4.75, m: "añ中" }
    ])
    expect(await client.rows("SELECT SCOPE_IDENTITY() AS i")).toEqual([{ i: 15 }])
    expect(await client.rows("DELETE FROM parent OUTPUT DELETED.name WHERE id = 15")).toEqual([{ name: "b" }])
  })

  it("fail by number", async () => {
    expect(await client.fails("SELEC 1")).toEqual([102])
    expect(await client.fails("SELECT FROM x")).toEqual([156])
    expect(await client.fails("SELECT * FROM nowhere")).toEqual([208])
    expect(await client.fails("SELECT nothing FROM parent")).toEqual([207])
    expect(await client.fails("INSERT INTO parent (name) VALUES (N'añ中')")).toEqual([2627])
    await client.run("INSERT INTO parent (name, amount) VALUES (N'x', 77)")
    expect(await client.fails("INSERT INTO parent (name, amount) VALUES (N'y', 77)")).toEqual([2601])
    expect(await client.fails("INSERT INTO parent (name) VALUES (NULL)")).toEqual([515])
    expect(await client.fails("INSERT INTO parent (name, amount) VALUES (N'z', -1)")).toEqual([547])
    expect(await client.fails("INSERT INTO child VALUES (1, 99)")).toEqual([547])
    await client.run("INSERT INTO child VALUES (1, 10)")
    expect(await client.fails("DELETE FROM parent WHERE id = 10")).toEqual([547])
    expect(await client.fails("SELECT 1 / 0 AS n")).toEqual([8134])
    expect(await client.fails("SELECT CAST('abc' AS INT) AS n")).toEqual([245])
    expect(await client.fails("SELECT CAST(300 AS TINYINT) AS n")).toEqual([220])
    expect(await client.fails("SELECT 2147483647 + 1 AS n")).toEqual([8115])
    expect(await client.fails("INSERT INTO parent (name) VALUES (REPLICATE(N'a', 21))")).toEqual([2628])
    expect(await client.fails("INSERT INTO child VALUES (0x00, 1, 2)")).toEqual([213])
    expect(await client.fails("INSERT INTO parent (id, name) VALUES (1, N'q')")).toEqual([544])
    expect(await client.fails("SELECT @1 AS v WHERE @2 = 1", [TYPES.Int, 1])).toEqual([137])
    expect(await client.fails("EXEC nothing_of_this_name")).toEqual([2812])
    expect(await client.fails("SELECT (SELECT id FROM parent) AS v")).toEqual([512])
    expect(await client.fails("SELECT name, COUNT(*) AS n FROM parent")).toEqual([8120])
    expect(await client.fails("THROW 50001, N'mine', 1")).toEqual([50_001])
    expect(await client.fails("RAISERROR(N'mine', 16, 1)")).toEqual([50_000])
    // What it does not know it says.
    expect(await client.fails("MERGE parent USING child ON 1 = 1 WHEN MATCHED THEN DELETE;")).toEqual([49_000])
    expect(await client.fails("SELECT * FROM sys.partitions")).toEqual([49_000])
    expect(await client.fails("SELECT name FROM parent FOR JSON PATH")).toEqual([49_000])
  })

  it("name what is duplicate in the message", async () => {
    await expect(client.run("INSERT INTO parent (name) VALUES (N'x')")).rejects.toThrow(
      "Violation of UNIQUE KEY constraint 'uq_name'. Cannot insert duplicate key in object 'dbo.parent'. The duplicate key value is (x)."
    )
  })

  it("give every type back as it was given", async () => {
    const date = new Date("2024-02-29T12:34:56.789Z")
    const values: ReadonlyArray<Given> = [
      [TYPES.TinyInt, 255],
      [TYPES.SmallInt, -32768],
      [TYPES.Int, -2147483648],
      [TYPES.BigInt, "9223372036854775807"],
      [TYPES.Bit, true],
      [TYPES.Real, 1.5],
      [TYPES.Float, -1.7976931348623157e308],
      [TYPES.Decimal, 12345.678, { precision: 18, scale: 3 }],
      [TYPES.Numeric, -0.5, { precision: 38, scale: 10 }],
      [TYPES.Money, -922337.5807],
      [TYPES.SmallMoney, 214748.3647],
      [TYPES.NVarChar, "añ中\u{1f600}"],
      [TYPES.NVarChar, ""],
      [TYPES.NVarChar, "x".repeat(5000)],
      [TYPES.VarChar, "añ€"],
      [TYPES.VarChar, "y".repeat(9000)],
      [TYPES.VarBinary, Buffer.from([0, 1, 255])],
      [TYPES.VarBinary, Buffer.alloc(20_000, 7)],
      [TYPES.UniqueIdentifier, "00112233-4455-6677-8899-AABBCCDDEEFF"],
      [TYPES.DateTime, new Date("2024-02-29T12:34:56.790Z")],
      [TYPES.DateTime2, date],
      [TYPES.DateTimeOffset, date],
      [TYPES.Date, new Date("0001-01-02T00:00:00.000Z")],
      [TYPES.SmallDateTime, new Date("2024-02-29T12:34:00.000Z")]
    ]
    const text = `SELECT ${values.map((_, i) => `@${i + 1} AS v${i + 1}`).join(", ")}`
    const [row] = await client.rows(text, ...values)
    values.forEach(([type, value], i) => expect(row![`v${i + 1}`], type.name).toEqual(value))
    const nulls = values.map(([type, , options]) => [type, null, options] as const)
    const [empty] = await client.rows(text, ...nulls)
    expect(new Set(Object.values(empty!))).toEqual(new Set([null]))
  })

  it("keep text that is no Unicode as the code page has it", async () => {
    expect(await client.rows("SELECT @1 AS v", [TYPES.VarChar, "中é"])).toEqual([{ v: "?é" }])
  })

  it("control their flow", async () => {
    expect(
      await client.rows(`
      DECLARE @i INT = 0, @sum INT = 0
      WHILE @i < 10 BEGIN
        SET @i = @i + 1
        IF @i % 2 = 0 CONTINUE
        SET @sum = @sum + @i
      END
      SELECT @sum AS n`)
    ).toEqual([{ n: 25 }])
    expect(
      await client.rows(`
      BEGIN TRY
        INSERT INTO child VALUES (1, NULL)
      END TRY
      BEGIN CATCH
        SELECT ERROR_NUMBER() AS n, XACT_STATE() AS x
      END CATCH`)
    ).toEqual([{ n: 2627, x: 0 }])
  })

  it("are prepared, run by handle, and forgotten", async () => {
    const request = new Tedious.Request("SELECT @a + 1 AS n", () => {})
    request.addParameter("a", TYPES.Int, undefined)
    await new Promise<void>((resolve, reject) => {
      request.on("prepared", resolve)
      request.on("error", reject)
      client.raw.prepare(request)
    })
    expect(server.sessions()).toMatchObject([{ preparedStatements: 1 }])
    for (const a of [1, 2]) {
      const rows: Array<unknown> = []
      await new Promise<void>((resolve) => {
        request.on("row", (columns: ReadonlyArray<{ value: unknown }>) => rows.push(columns[0]!.value))
        request.on("requestCompleted", resolve)
        client.raw.execute(request, { a })
      })
      request.removeAllListeners("row").removeAllListeners("requestCompleted")
      expect(rows).toEqual([a + 1])
    }
    await new Promise<void>((resolve) => {
      request.on("requestCompleted", resolve)
      client.raw.unprepare(request)
    })
    expect(server.sessions()).toMatchObject([{ preparedStatements: 0 }])
  })

  it("stop when they are told to, and the session goes on", async () => {
    for (
      const text of [
        "WAITFOR DELAY '00:10:00'",
        "WITH s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 100000000) SELECT x FROM s"
      ]
    ) {
      const ended = new Promise<Failure>((resolve) => {
        const request = new Tedious.Request(text, (error) => resolve(error as unknown as Failure))
        client.raw.execSqlBatch(request)
      })
      await until(() => server.sessions()[0]?.running === text)
      client.raw.cancel()
      expect(await ended).toMatchObject({ code: "ECANCEL" })
      expect(await client.rows("SELECT 1 AS n")).toEqual([{ n: 1 }])
    }
  })

  it("made of several answer each", async () => {
    const { counts, rows } = await client.run("SELECT 1 AS a; SELECT 2 AS b UNION ALL SELECT 3")
    expect(rows).toEqual([{ a: 1 }, { b: 2 }, { b: 3 }])
    expect(counts).toEqual([1, 2])
  })
})

describe("transactions", () => {
  const table = "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL); INSERT INTO t VALUES (1, 1), (2, 2)"

  it(
    "commit, roll back, and go back to savepoints",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.run(table)
      await client.begin()
      expect(client.raw.inTransaction).toBe(true)
      expect(server.sessions()).toMatchObject([{ openTransactions: 1 }])
      await client.run("INSERT INTO t VALUES (3, 3)")
      await client.save("a")
      await client.run("INSERT INTO t VALUES (4, 4)")
      await client.rollback("a")
      expect(client.raw.inTransaction).toBe(true)
      await client.commit()
      expect(client.raw.inTransaction).toBe(false)
      expect(await client.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 3 }])
      await client.begin()
      await client.run("DELETE FROM t")
      await client.run("CREATE TABLE u (a INT)")
      await client.rollback()
      expect(await client.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 3 }])
      expect(await client.fails("SELECT * FROM u")).toEqual([208])
      client.close()
    })
  )

  it(
    "of batches are told by ENVCHANGE",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.run("BEGIN TRAN; BEGIN TRAN; COMMIT")
      expect(client.raw.inTransaction).toBe(true)
      expect(await client.rows("SELECT @@TRANCOUNT AS n, XACT_STATE() AS x")).toEqual([{ n: 1, x: 1 }])
      await client.run("ROLLBACK")
      expect(client.raw.inTransaction).toBe(false)
      expect(await client.fails("COMMIT")).toEqual([3902])
      expect(await client.fails("ROLLBACK")).toEqual([3903])
      // A procedure must leave the count as it found it.
      expect(await client.fails("BEGIN TRAN; SELECT @1 AS v", [TYPES.Int, 1])).toEqual([266])
      client.close()
    })
  )

  it(
    "go on after a violation, end with a deadlock or a failed conversion",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.run(table)
      await client.begin()
      expect(await client.fails("INSERT INTO t VALUES (1, 1)")).toEqual([2627])
      expect(client.raw.inTransaction).toBe(true)
      expect(await client.fails("SELECT CAST('x' AS INT)")).toEqual([245])
      expect(client.raw.inTransaction).toBe(false)
      await expect(client.rollback()).rejects.toMatchObject({ number: 3903 })
      await client.run("SET XACT_ABORT ON")
      await client.begin()
      expect(await client.fails("INSERT INTO t VALUES (1, 1)")).toEqual([2627])
      expect(client.raw.inTransaction).toBe(false)
      client.close()
    })
  )

  it(
    "wait for a lock until their limit",
    withServer({}, async (server) => {
      const [a, b] = [await Client.open(server), await Client.open(server)]
      await a.run(table)
      await a.begin()
      await a.run("UPDATE t SET v = 10 WHERE id = 1")
      // A reader sees what was committed, and does not wait.
      expect(await b.rows("SELECT v FROM t WHERE id = 1")).toEqual([{ v: 1 }])
      await b.run("SET LOCK_TIMEOUT 0")
      expect(await b.fails("UPDATE t SET v = 11 WHERE id = 1")).toEqual([1222])
      await b.run("SET LOCK_TIMEOUT -1")
      const waiting = b.run("UPDATE t SET v = v + 1 WHERE id = 1")
      await until(() => server.sessions().some((one) => one.waitingFor !== undefined))
      expect(
        await a.rows(
          "SELECT session_id AS s, blocking_session_id AS b, status FROM sys.dm_exec_requests WHERE blocking_session_id <> 0"
        )
      )
        .toEqual([{ s: 52, b: 51, status: "suspended" }])
      await a.commit()
      await waiting
      expect(await a.rows("SELECT v FROM t WHERE id = 1")).toEqual([{ v: 11 }])
      a.close()
      b.close()
    })
  )

  it(
    "conflict: 3960 under SNAPSHOT, 1205 under SERIALIZABLE",
    withServer({}, async (server) => {
      const [a, b] = [await Client.open(server), await Client.open(server)]
      await a.run(table)
      for (const [level, number] of [[ISOLATION_LEVEL.SNAPSHOT, 3960], [ISOLATION_LEVEL.SERIALIZABLE, 1205]] as const) {
        await a.begin(level)
        expect(await a.rows("SELECT v FROM t WHERE id = 2")).toHaveLength(1)
        await b.run("UPDATE t SET v = v + 1 WHERE id = 2")
        expect(await a.fails("UPDATE t SET v = 0 WHERE id = 2")).toEqual([number])
        expect(a.raw.inTransaction).toBe(false)
      }
      // READ COMMITTED reads anew with each statement, and updates what it finds.
      await a.begin(ISOLATION_LEVEL.READ_COMMITTED)
      await a.rows("SELECT v FROM t")
      await b.run("UPDATE t SET v = 100 WHERE id = 2")
      await a.run("UPDATE t SET v = v + 1 WHERE id = 2")
      await a.commit()
      expect(await a.rows("SELECT v FROM t WHERE id = 2")).toEqual([{ v: 101 }])
      a.close()
      b.close()
    })
  )

  it(
    "in a circle: one is the victim",
    withServer({}, async (server) => {
      const [a, b] = [await Client.open(server), await Client.open(server)]
      await a.run(table)
      await a.begin()
      await b.begin()
      await b.run("EXEC sp_getapplock @Resource = 'r', @LockMode = 'Exclusive'")
      await a.run("UPDATE t SET v = 5 WHERE id = 1")
      const waiting = b.run("UPDATE t SET v = 6 WHERE id = 1")
      await until(() => server.sessions().some((one) => one.waitingFor !== undefined))
      expect(
        await a.rows("DECLARE @r INT; EXEC @r = sp_getapplock @Resource = 'r', @LockMode = 'Exclusive'; SELECT @r AS r")
      )
        .toEqual([{ r: -3 }])
      await a.rollback()
      await waiting
      await b.commit()
      a.close()
      b.close()
    })
  )

  it(
    "end with their connection",
    withServer({}, async (server) => {
      const [a, b] = [await Client.open(server), await Client.open(server)]
      await a.run(table)
      await a.begin()
      await a.run("DELETE FROM t")
      expect(await b.run("KILL 51")).toMatchObject({ rows: [] })
      await until(() => server.sessions().length === 1)
      expect((await b.run("UPDATE t SET v = 0")).counts).toEqual([2])
      b.close()
    })
  )

  it(
    "need their descriptor",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.begin()
      // What a client does that takes no notice of ENVCHANGE.
      const inner = client.raw as unknown as { transactionDescriptors: Array<Buffer> }
      const own = inner.transactionDescriptors.pop()!
      expect(await client.fails("SELECT 1")).toEqual([3989])
      inner.transactionDescriptors.push(own)
      await client.commit()
      client.close()
    })
  )
})

describe("sessions", () => {
  it(
    "are as new after a reset, but for the isolation level",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.run("CREATE TABLE #t (a INT); SET LOCK_TIMEOUT 5; EXEC sp_set_session_context N'k', N'v'")
      await client.run("CREATE TABLE t (a INT)")
      await client.begin(ISOLATION_LEVEL.SERIALIZABLE)
      await client.run("INSERT INTO t VALUES (1)")
      expect(server.sessions()).toMatchObject([{ temporaryTables: 1, lockTimeout: 5, isolation: "serializable" }])
      await client.reset()
      expect(client.raw.inTransaction).toBe(false)
      // tedious sends its own settings with the reset, the isolation level among them.
      expect(server.sessions()).toMatchObject([
        { temporaryTables: 0, lockTimeout: -1, openTransactions: 0, isolation: "read committed" }
      ])
      expect(server.log[server.log.length - 1]).toMatchObject({ reset: true })
      expect(await client.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 0 }])
      expect(await client.fails("SELECT * FROM #t")).toEqual([208])
      client.close()
    })
  )

  it(
    "see temporary tables of their own, for as long as their scope",
    withServer({}, async (server) => {
      const [a, b] = [await Client.open(server), await Client.open(server)]
      await a.run("CREATE TABLE #t (a INT IDENTITY, b INT); INSERT INTO #t (b) VALUES (5)")
      expect(await a.rows("SELECT * FROM #t")).toEqual([{ a: 1, b: 5 }])
      expect(await b.fails("SELECT * FROM #t")).toEqual([208])
      // A procedure's table goes with it.
      await b.run("CREATE TABLE #p (a INT); INSERT INTO #p VALUES (@1)", [TYPES.Int, 1])
      expect(await b.fails("SELECT * FROM #p")).toEqual([208])
      a.close()
      b.close()
    })
  )

  it(
    "may not do what is denied, nor write where nothing may",
    withServer(
      { users: { sa: "a", app: "b" }, databases: ["master", "old", "test"], readOnlyDatabases: ["old"] },
      async (server) => {
        const [admin, app] = [await Client.open(server), await Client.open({ ...server, user: "app", password: "b" })]
        await admin.run("CREATE TABLE t (a INT); DENY INSERT, SELECT ON dbo.t TO app")
        expect(await app.fails("SELECT * FROM t")).toEqual([229])
        expect(await app.fails("INSERT INTO t VALUES (1)")).toEqual([229])
        expect((await app.run("UPDATE t SET a = 1")).counts).toEqual([0])
        await app.run("USE old")
        expect(await app.rows("SELECT DB_NAME() AS d")).toEqual([{ d: "old" }])
        expect(await app.fails("CREATE TABLE t (a INT)")).toEqual([3906])
        admin.close()
        app.close()
      }
    )
  )

  it(
    "lose their link when they are told to",
    withServer({}, async (server) => {
      const client = await Client.open(server)
      await client.run("CREATE TABLE t (a INT)")
      server.faults.push({ when: "INSERT", action: "drop-after" })
      await expect(client.run("INSERT INTO t VALUES (1)")).rejects.toMatchObject({ code: "ECONNRESET" })
      const other = await Client.open(server)
      expect(await other.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 1 }])
      server.faults.push({ when: "INSERT", action: "drop-before" })
      await expect(other.run("INSERT INTO t VALUES (2)")).rejects.toMatchObject({ code: "ECONNRESET" })
      const last = await Client.open(server)
      expect(await last.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 1 }])
      server.faults.push({ when: "SELECT", action: { number: 40613, message: "not now" } })
      expect(await last.fails("SELECT 1")).toEqual([40613])
      await server.stop()
      expect(server.sessions()).toEqual([])
      await server.start()
      const again = await Client.open(server)
      expect(await again.rows("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 1 }])
      again.close()
    })
  )
})
