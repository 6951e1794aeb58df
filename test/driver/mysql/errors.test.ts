import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import type { QueryError } from "../../../src/DbError.js"
import { describeMariadb, mysqlQuery } from "../../kit/mysql.js"
import { configFor, open, openWith } from "./harness.js"

const schema = [
  "CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB",
  "CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, email VARCHAR(10) NOT NULL, age INT, at DATETIME, " +
  "UNIQUE KEY child_email (email), CONSTRAINT child_parent FOREIGN KEY (parent_id) REFERENCES parent (id), " +
  "CONSTRAINT child_age CHECK (age > 0)) ENGINE=InnoDB",
  "INSERT INTO parent VALUES (1)",
  "INSERT INTO child VALUES (1, 1, 'hidden', 1, NULL)"
].join("; ")

const cases: ReadonlyArray<
  readonly [
    text: string,
    params: ReadonlyArray<unknown>,
    expected: { readonly [K in keyof QueryError]?: QueryError[K] }
  ]
> = [
  ["INSERT INTO child (id, email) VALUES (2, ?)", ["hidden"], {
    reason: "UniqueViolation",
    constraint: "child_email",
    code: "1062",
    outcome: "RolledBack"
  }],
  ["INSERT INTO parent VALUES (?)", [1], { reason: "UniqueViolation", constraint: "PRIMARY" }],
  ["INSERT INTO child (id, email, parent_id) VALUES (3, 'a', ?)", [99], {
    reason: "ForeignKeyViolation",
    constraint: "child_parent",
    table: "child",
    code: "1452",
    outcome: "RolledBack"
  }],
  ["DELETE FROM parent WHERE id = ?", [1], {
    reason: "ForeignKeyViolation",
    constraint: "child_parent",
    table: "child",
    code: "1451"
  }],
  ["INSERT INTO child (id, email) VALUES (3, ?)", [null], {
    reason: "NotNullViolation",
    column: "email",
    code: "1048"
  }],
  ["INSERT INTO child (id) VALUES (?)", [3], { reason: "NotNullViolation", column: "email", code: "1364" }],
  ["INSERT INTO child (id, email, age) VALUES (4, 'b', ?)", [-7], {
    reason: "CheckViolation",
    constraint: "child_age",
    table: "child",
    code: "4025",
    outcome: "RolledBack"
  }],
  ["INSERT INTO child (id, email) VALUES (?, 'c')", [2 ** 40], { reason: "DataError", column: "id", code: "1264" }],
  ["INSERT INTO child (id, email) VALUES (5, ?)", ["hidden hidden"], {
    reason: "DataError",
    column: "email",
    code: "1406"
  }],
  ["INSERT INTO child (id, email) VALUES (?, 'd')", ["hidden"], {
    reason: "DataError",
    column: "id",
    table: "child",
    code: "1366"
  }],
  ["INSERT INTO child (id, email, at) VALUES (6, 'e', ?)", ["hidden"], {
    reason: "DataError",
    column: "at",
    code: "1292"
  }],
  ["CREATE TRIGGER after_none BEFORE INSERT ON child FOR EACH ROW FOLLOWS nowhere SET @a = 1", [], {
    reason: "UndefinedObject",
    outcome: "NotSent"
  }],
  ["SELEC ?", [1], { reason: "SqlSyntax", code: "1064", outcome: "NotSent", position: 1 }],
  ["SELECT ?\nFROM\n  parent WHERE WHERE", [1], { reason: "SqlSyntax", position: 30 }],
  ["SELECT (", [], { reason: "SqlSyntax", position: 9 }],
  ["SELECT * FROM nowhere WHERE a = ?", [1], {
    reason: "UndefinedObject",
    table: "nowhere",
    code: "1146",
    outcome: "NotSent"
  }],
  ["SELECT nothing FROM parent", [], {
    reason: "UndefinedObject",
    column: "nothing",
    code: "1054",
    outcome: "NotSent"
  }],
  ["SELECT no_such_function(?)", [1], { reason: "UndefinedObject", code: "1305" }],
  // A procedure that calls a missing one gets the same number, and what it did before stays.
  ["CALL no_such_procedure()", [], { reason: "UndefinedObject", code: "1305", outcome: "Unknown" }],
  ["USE no_such_database", [], { reason: "UndefinedObject", code: "1049", outcome: "NotSent" }],
  ["SELECT CAST(9223372036854775807 AS SIGNED) + ?", [1], { reason: "DataError", code: "1690" }],
  ["ROLLBACK TO SAVEPOINT nowhere", [], { reason: "UndefinedObject", code: "1305" }]
]

describeMariadb("MySQL errors", () => {
  it.live("are classified by number, with the names in them and without values", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script(schema)
      for (const [text, params, expected] of cases) {
        const error = yield* Effect.flip(db.run(text, params))
        expect(error, text).toMatchObject({ _tag: "QueryError", statement: text, database: "default", ...expected })
        expect(error.message).not.toContain("hidden")
        expect(error.message).not.toContain(String(2 ** 40))
        expect(error.cause).toMatchObject({ errno: Number((error as QueryError).code) })
      }
      const signal = yield* Effect.flip(db.run("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'it said so'"))
      expect(signal).toMatchObject({ reason: "Unknown", code: "1644", detail: "it said so" })
      expect(signal.message).toContain("it said so")
      for (const more of ["MYSQL_ERRNO = 30001", "MYSQL_ERRNO = 1644"]) {
        const numbered = yield* Effect.flip(
          db.run(`SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'said so', ${more}`)
        )
        expect(numbered.message).toContain("said so")
      }
      const own = yield* Effect.flip(
        db.run("SIGNAL SQLSTATE '77777' SET MESSAGE_TEXT = 'its own', MYSQL_ERRNO = 30002")
      )
      expect(own).toMatchObject({ reason: "Unknown", code: "30002", detail: "its own" })
      expect(own.message).toContain("its own")
      expect(yield* Effect.flip(db.run("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mine', MYSQL_ERRNO = 1452")))
        .toMatchObject({ reason: "ForeignKeyViolation", code: "1452" })
      expect(yield* db.run("SELECT COUNT(*) AS n FROM child")).toEqual([{ n: 1 }])
    }).pipe(Effect.scoped))

  it.live("name the limit of the server that a statement exceeds", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script("CREATE TABLE t (a INT); CREATE PROCEDURE deep(n INT) IF n > 0 THEN CALL deep(n - 1); END IF")
      yield* db.script("SET SESSION max_sp_recursion_depth = 255")
      const many = Array.from({ length: 65_536 }, (_, i) => i)
      const limits: ReadonlyArray<readonly [text: string, params: ReadonlyArray<unknown>, expected: object]> = [
        [`INSERT INTO t VALUES ${many.map(() => "(?)").join(",")}`, many, {
          reason: "Parameter",
          code: "1390",
          outcome: "NotSent"
        }],
        [`SELECT ${many.join("+")}`, [], { reason: "OutOfMemory", code: "1436", outcome: "NotSent" }],
        ["CALL deep(255)", [], { reason: "OutOfMemory", code: "1436", outcome: "Unknown" }],
        [`SELECT 1 FROM ${many.slice(0, 62).map((i) => `t AS t${i}`).join(",")}`, [], {
          reason: "SqlSyntax",
          code: "1116",
          outcome: "NotSent"
        }],
        [`CREATE TABLE wide (${many.slice(0, 5000).map((i) => `c${i} INT`).join(",")})`, [], {
          reason: "SqlSyntax",
          code: "1117",
          outcome: "NotSent"
        }],
        ["LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t", [], {
          reason: "Authorization",
          code: "4166",
          outcome: "NotSent"
        }]
      ]
      for (const [text, params, expected] of limits) {
        const error = yield* Effect.flip(db.run(text, params))
        expect(error, text.slice(0, 40)).toMatchObject({ _tag: "QueryError", ...expected })
        // The server's own words, which name the limit, and no value.
        expect(error.message).toContain((error.cause as Error).message.replace(/\.$/, ""))
      }
      expect(yield* db.run("SELECT COUNT(*) AS n FROM t")).toEqual([{ n: 0 }])
    }).pipe(Effect.scoped))

  it.live("say which privilege is missing", () =>
    Effect.gen(function*() {
      const db = yield* open()
      yield* db.script(schema)
      const user = db.database.name.slice(0, 20)
      yield* Effect.acquireRelease(
        mysqlQuery(db.database.url, `CREATE USER ${user}@'%' IDENTIFIED BY 'pw'`),
        () => mysqlQuery(db.database.url, `DROP USER ${user}@'%'`)
      )
      yield* mysqlQuery(db.database.url, `GRANT SELECT (id) ON ${db.database.name}.child TO ${user}@'%'`)
      const account = { ...db.database, user, password: "pw" }
      const limited = yield* openWith(configFor(account), account)
      for (
        const [text, code] of [
          ["DELETE FROM child", "1142"],
          ["SELECT email FROM child", "1143"],
          ["CREATE TABLE mine (a INT)", "1142"],
          ["SET GLOBAL max_connections = 1", "1227"],
          ["USE mysql", "1044"]
        ]
      ) {
        expect(yield* Effect.flip(limited.run(text!))).toMatchObject({
          _tag: "QueryError",
          reason: "Authorization",
          outcome: "NotSent",
          code
        })
      }
    }).pipe(Effect.scoped))
})
