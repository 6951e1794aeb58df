import type { Dialect } from "@effect/sql/Statement"
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Splitter } from "../../src/internal/migrator/Splitter.js"
import { advance, SplitFault } from "../../src/internal/migrator/Statement.js"

const split = (dialect: Dialect, text: string, size = text.length || 1) => {
  const splitter = new Splitter(dialect)
  const out = []
  for (let i = 0; i < text.length; i += size) {
    out.push(...splitter.push(text.slice(i, i + size)))
  }
  out.push(...splitter.end())
  return out
}

const texts = (dialect: Dialect, text: string) => split(dialect, text).map((statement) => statement.text)

const fault = (dialect: Dialect, text: string): SplitFault => {
  try {
    split(dialect, text)
  } catch (error) {
    if (error instanceof SplitFault) {
      return error
    }
    throw error
  }
  throw new Error("no fault")
}

describe("Splitter", () => {
  describe("PostgreSQL", () => {
    const cases: Array<readonly [name: string, text: string, expected: ReadonlyArray<string>]> = [
      ["a last statement needs no semicolon", "select 1; select 2", ["select 1", "select 2"]],
      ["empty statements vanish", ";;select 1;;", ["select 1"]],
      ["comments only", "-- a; b\n/* c; d */", []],
      ["strings", "select 'a;''b;'; select 2", ["select 'a;''b;'", "select 2"]],
      ["a backslash does not escape in a plain string", "select 'a\\'; select 2", ["select 'a\\'", "select 2"]],
      ["a backslash escapes in E''", "select E'a\\';b'; select 2", ["select E'a\\';b'", "select 2"]],
      ["E'' goes on in the next line", "select E'a'\n'\\';b'; select 2", ["select E'a'\n'\\';b'", "select 2"]],
      ["a word that ends in e is no prefix", "select note'\\'; select 2", ["select note'\\'", "select 2"]],
      ["quoted names", "select \"a;\"\"b\"; select 2", ["select \"a;\"\"b\"", "select 2"]],
      ["dollar quotes", "do $$ begin; end $$; select 2", ["do $$ begin; end $$", "select 2"]],
      ["nested dollar quotes", "do $a$ x; $b$ ; $b$ $$ ; $a$; select 2", ["do $a$ x; $b$ ; $b$ $$ ; $a$", "select 2"]],
      ["a parameter is no dollar quote", "select $1; select $2", ["select $1", "select $2"]],
      ["a dollar in a name is no dollar quote", "select a$b$ from t; select 2", ["select a$b$ from t", "select 2"]],
      ["nested comments", "/* a /* b; */ ; */ select 1; select 2", ["select 1", "select 2"]],
      [
        "a body in standard SQL",
        "create or replace function f() returns int begin atomic select case 1 when 1 then 2 end; select 3; end; select 4",
        [
          "create or replace function f() returns int begin atomic select case 1 when 1 then 2 end; select 3; end",
          "select 4"
        ]
      ],
      [
        "parentheses hold their semicolons",
        "create rule r as on insert to t do also (delete from a; delete from b); select 1",
        ["create rule r as on insert to t do also (delete from a; delete from b)", "select 1"]
      ],
      ["begin elsewhere is an ordinary word", "begin; select 1; end", ["begin", "select 1", "end"]]
    ]
    for (const [name, text, expected] of cases) {
      it(name, () => expect(texts("pg", text)).toEqual(expected))
    }

    it("COPY FROM stdin is refused where it stands", () => {
      const error = fault("pg", "select 1;\n  copy t (a, b) from stdin;\n1\t2\n\\.\n")
      expect([error.line, error.column]).toEqual([2, 3])
      expect(error.message).toContain("COPY ... FROM stdin")
    })

    it("the marks of pg_dump around its text are passed over", () => {
      expect(texts("pg", "--\n\n\\restrict aB3\n\nselect 1;\n\\unrestrict aB3\n")).toEqual(["select 1"])
    })

    it("a command of psql is refused where it stands", () => {
      const error = fault("pg", "select 1;\n\\connect other\n")
      expect([error.line, error.column]).toEqual([2, 1])
    })

    it("what is never closed is told with the place where it was opened", () => {
      expect(fault("pg", "select 1;\nselect 'abc;\nselect 2;")).toMatchObject({ line: 2, column: 8 })
      expect(fault("pg", "select 1;\n do $x$ begin;\n")).toMatchObject({ line: 2, column: 5 })
      expect(fault("pg", "/* a /* b */ select 1;")).toMatchObject({ line: 1, column: 1 })
    })
  })

  describe("SQLite", () => {
    const trigger = "CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN\n" +
      "  UPDATE t SET x = CASE WHEN 1 THEN 2 END; -- a comment; here\n  DELETE FROM b;\nEND"
    it("a trigger's body is one statement", () => {
      expect(texts("sqlite", `${trigger};\nselect 1;`)).toEqual([trigger, "select 1"])
    })
    it("END without a semicolon before it does not end a trigger", () => {
      const text = "create trigger a after insert on t begin select case 1 when 1 then 2\nend\n; select 3; end"
      expect(texts("sqlite", `${text}; select 4`)).toEqual([text, "select 4"])
    })
    it("brackets and backticks quote names, a backslash nothing", () => {
      expect(texts("sqlite", "select [a;b], `c;``d`, 'e\\'; select 2")).toEqual([
        "select [a;b], `c;``d`, 'e\\'",
        "select 2"
      ])
    })
    it("a comment may end with the file", () => {
      expect(texts("sqlite", "select 1; /* the end")).toEqual(["select 1"])
    })
  })

  describe("MySQL", () => {
    it("DELIMITER", () => {
      expect(
        texts("mysql", "DELIMITER //\ncreate procedure p() begin select 1; select 2; end//\ndelimiter ;\nselect 3;")
      )
        .toEqual(["create procedure p() begin select 1; select 2; end", "select 3"])
      expect(texts("mysql", "delimiter $$\nselect 1$$ select 2 $$")).toEqual(["select 1", "select 2"])
    })
    it("stored programs without DELIMITER", () => {
      const program = "CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN\n" +
        "  IF x THEN SELECT 1; END IF;\n  WHILE y DO SET y = CASE WHEN 1 THEN 0 END; END WHILE;\n" +
        "  CASE z WHEN 1 THEN SELECT t.end; ELSE BEGIN SELECT 3; END; END CASE;\nEND"
      expect(texts("mysql", `${program};\nCREATE TABLE event (begin int); select 4`))
        .toEqual([program, "CREATE TABLE event (begin int)", "select 4"])
    })
    const programs = [
      "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW IF NEW.x > 9 THEN SET NEW.x = 9; END IF",
      "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW FOLLOWS u IF NEW.x THEN SET @a = 1; ELSEIF 1 THEN SET @a = 2; ELSE SET @a = 3; END IF",
      "CREATE TRIGGER IF NOT EXISTS t AFTER DELETE ON a FOR EACH ROW PRECEDES `u` CASE OLD.x WHEN 1 THEN SET @a = 1; ELSE SET @a = 2; END CASE",
      "CREATE PROCEDURE p() WHILE @i < 3 DO SET @i = @i + 1; END WHILE",
      "CREATE OR REPLACE PROCEDURE IF NOT EXISTS p(IN a DECIMAL(4, 2)) COMMENT 'x; y' SQL SECURITY INVOKER NOT DETERMINISTIC REPEAT SET @i = 1; UNTIL @i > 0 END REPEAT",
      "CREATE DEFINER=`a`@`b` PROCEDURE p() l: LOOP SET @i = @i + 1; IF (@i > 3) THEN LEAVE l; END IF; END LOOP l",
      "CREATE PROCEDURE p() `l`: LOOP LEAVE `l`; END LOOP",
      "CREATE FUNCTION f(a INT) RETURNS VARCHAR(9) CHARACTER SET utf8mb4 DETERMINISTIC IF a THEN RETURN 'x'; ELSE RETURN IF(a, 'y', REPEAT('z', 3)); END IF",
      "CREATE FUNCTION f(a INT) RETURNS INT RETURN CASE WHEN a THEN IF(a, 1, 2) ELSE IF(a, 3, 4) END",
      "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = IF(NEW.x > 1, 2, 3)",
      "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = CASE WHEN 1 THEN 2 END, @begin = 1, NEW.end = 2",
      "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS NOW() DO IF 1 THEN DELETE FROM a; END IF",
      "CREATE EVENT e ON SCHEDULE AT NOW() + INTERVAL IF(1, 2, 3) DAY DO DELETE FROM a",
      "ALTER EVENT e DO BEGIN DELETE FROM a; DELETE FROM b; END",
      "CREATE PROCEDURE p() FOR i IN 1..3 DO INSERT INTO a VALUES (i); END FOR",
      "CREATE PROCEDURE p() BEGIN DECLARE c CURSOR FOR SELECT 1; DECLARE CONTINUE HANDLER FOR SQLSTATE VALUE '02000', NOT FOUND, 1051, mine IF 1 THEN SET @a = 1; END IF; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; DECLARE EXIT HANDLER FOR 1052 SET @a = IF(1, 2, 3); SELECT 1 FOR UPDATE; SELECT begin, end FROM a; END",
      "CREATE PROCEDURE p() BEGIN IF EXISTS (SELECT 1) THEN DROP TABLE IF EXISTS b; CREATE TABLE IF NOT EXISTS b (x INT); END IF; CASE WHEN 1 THEN BEGIN END; ELSE SELECT CASE 1 WHEN 2 THEN 3 END; END CASE; WHILE IF(1, 0, 1) DO DO SLEEP(0); REPEAT SELECT 1; UNTIL CASE WHEN 1 THEN 1 END END REPEAT; END WHILE; SET @x := 1; END",
      "BEGIN NOT ATOMIC IF 1 THEN SELECT 1; END IF; END",
      "IF 1 THEN SELECT 1; ELSE SELECT 2; END IF"
    ]
    for (const program of programs) {
      it(`one statement: ${program.slice(0, 80)}`, () => {
        expect(texts("mysql", `${program};\nSELECT IF(1, 2, 3);\n${program};`)).toEqual([
          program,
          "SELECT IF(1, 2, 3)",
          program
        ])
        expect(texts("mysql", `DELIMITER $$\n${program}$$\nDELIMITER ;\nSELECT 1;`)).toEqual([program, "SELECT 1"])
      })
    }
    it("the sandbox mark of mariadb-dump is no statement", () => {
      expect(texts("mysql", "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\nselect 1;")).toEqual([
        "select 1"
      ])
    })
    it("comments", () => {
      expect(texts("mysql", "# a; b\nselect 1--1; -- c; d\nselect 2 /* e; */;")).toEqual([
        "select 1--1",
        "select 2 /* e; */"
      ])
    })
    it("comments that hold code are code", () => {
      expect(texts("mysql", "/*!40101 SET NAMES utf8 */;\nselect 1")).toEqual([
        "/*!40101 SET NAMES utf8 */",
        "select 1"
      ])
    })
    it("backslashes escape in both kinds of strings", () => {
      expect(texts("mysql", "select 'a\\';b', \"c\\\";d\"; select 2")).toEqual([
        "select 'a\\';b', \"c\\\";d\"",
        "select 2"
      ])
    })
  })

  describe("SQL Server", () => {
    it("GO splits, semicolons do not", () => {
      expect(
        texts("mssql", "select 1; select 2\nGO\nselect 'go\ngo\n' /* \nGO\n */\n go -- next\nselect [a]];\nGO\n] GO")
      )
        .toEqual(["select 1; select 2", "select 'go\ngo\n' /* \nGO\n */", "select [a]];\nGO\n] GO"])
    })
    it("GO with a count", () => {
      expect(split("mssql", "insert t default values\nGO 5\nselect 1").map((s) => [s.text, s.times]))
        .toEqual([["insert t default values", 5], ["select 1", 1]])
    })
  })

  it("a byte order mark is not part of the first statement and no column", () => {
    expect(split("pg", "\ufeffselect 1")).toMatchObject([{ text: "select 1", line: 1, column: 1 }])
  })

  it("comments are given with their place, and whether a statement stood before them", () => {
    const seen: Array<unknown> = []
    const splitter = new Splitter("pg", (text, place, after) => seen.push([text, place.line, place.column, after]))
    splitter.push("-- one\r\n  -- two\rselect 1; -- thr")
    splitter.push("ee")
    splitter.end()
    expect(seen).toEqual([[" one", 1, 1, false], [" two", 2, 3, false], [" three", 3, 11, true]])
  })

  describe("properties", () => {
    const noise = fc.constantFrom(
      " ",
      "\n",
      "\r\n",
      "\r",
      "\t",
      "-- a; 'b\n",
      "-- $$;\r\n",
      "/* ; ' */",
      "/* a\r\n;b */"
    )
    const token: Record<Dialect, ReadonlyArray<string>> = {
      pg: [
        "select",
        "a$b",
        "1.5",
        "'x;y'",
        "E'a\\';\r\n b'",
        "\"q;\"\"\"",
        "$$ ; ' $$",
        "$t$ $$;\n$$ $t$",
        "(1;2)",
        "$1",
        ",",
        "/* /* ; */ ' */",
        "-",
        "/",
        "*",
        "😀",
        "é"
      ],
      sqlite: [
        "select",
        "[a;'b]",
        "`;`",
        "'x;\r\ny'",
        "\"q;\"",
        "1e5",
        "x'00'",
        ",",
        "(1)",
        "-",
        "/",
        "?1",
        "end",
        "😀"
      ],
      mysql: ["select", "`;`", "'\\';\r\n'", "\"\\\";'\"", "1--1", "@a", ":=", "if", "end", "case", "/", "*", "é"],
      mssql: ["select", "[a]];\nGO\n]", "'x\ngo\ny'", "\"q\"", ";", "gone", "@a", "/* /* \nGO\n */ */", "-"],
      clickhouse: ["select", "1"]
    }
    const file = (dialect: Dialect) => {
      const tokens = fc.constantFrom(...token[dialect])
      const statement = fc.tuple(
        fc.constantFrom("insert", "x"),
        fc.array(fc.tuple(fc.constantFrom(" ", "\n", "\r\n"), tokens), { maxLength: 6 })
      ).map(([head, rest]) => head + rest.map(([space, text]) => space + text).join(""))
      const end = dialect === "mssql"
        ? fc.constantFrom("\nGO\n", "\r\n go 1 \r\n")
        : fc.constantFrom(";", " ;", "\n;\r\n")
      return fc.array(fc.tuple(fc.array(noise, { maxLength: 3 }), statement, end), { maxLength: 6 })
    }
    for (const dialect of ["pg", "sqlite", "mysql", "mssql"] as const) {
      it(`${dialect}: every statement is found, whole, at its place, however the file is cut`, () => {
        fc.assert(
          fc.property(file(dialect), fc.boolean(), fc.integer({ min: 1, max: 9 }), (pieces, bom, size) => {
            let text = ""
            const expected: Array<unknown> = []
            for (const [before, statement, end] of pieces) {
              text += before.join("")
              expected.push({ text: statement, ...advance({ line: 1, column: 1 }, text), times: 1 })
              text += statement + end
            }
            const found = (cut: number) =>
              split(dialect, (bom ? "\ufeff" : "") + text, cut).map(({ words: _, ...rest }) => rest)
            expect(found(1e6)).toEqual(expected)
            expect(found(size)).toEqual(expected)
          }),
          { numRuns: 500 }
        )
      })
      it(`${dialect}: any text is split or refused, the same however it is cut`, () => {
        const soup = fc.array(
          fc.oneof(
            fc.constantFrom(
              ...token[dialect],
              "'",
              "\"",
              "$",
              "$$",
              "/*",
              "*/",
              "--",
              ";",
              "\n",
              "\r",
              "#",
              "\\",
              "GO",
              "DELIMITER",
              "$$\n",
              "E'",
              "[",
              "`",
              "create",
              "function",
              "procedure",
              "trigger",
              "begin",
              "atomic",
              "case",
              "end",
              "copy",
              "from",
              "stdin",
              "(",
              ")",
              " "
            ),
            fc.string()
          ),
          { maxLength: 30 }
        ).map((parts) => parts.join(""))
        const outcome = (text: string, size: number) => {
          try {
            return split(dialect, text, size)
          } catch (error) {
            if (error instanceof SplitFault) {
              return [error.message, error.line, error.column]
            }
            throw error
          }
        }
        fc.assert(
          fc.property(soup, fc.integer({ min: 1, max: 5 }), (text, size) => {
            const whole = outcome(text, 1e6)
            expect(outcome(text, size)).toEqual(whole)
          }),
          { numRuns: 1000 }
        )
      })
    }
  })

  it("follows sql_mode of MySQL: whether a backslash escapes", () => {
    const on = "NO_BACKSLASH_ESCAPES"
    const plain = "select 'c:\\'"
    const escaped = "select 'a\\';b'"
    const follows = (statements: ReadonlyArray<string>) => {
      for (const end of [";", " ;\n"]) {
        const text = statements.join(end)
        for (const size of [text.length, 1, 7]) {
          expect(split("mysql", text, size).map((statement) => statement.text)).toEqual(statements)
        }
      }
    }
    for (
      const set of [
        `SET sql_mode = '${on}'`,
        `set session sql_mode="ansi,${on.toLowerCase()},x"`,
        `SET @@session.sql_mode := '${on}'`,
        `SET @@sql_mode='${on}'`,
        `SET @old = @@sql_mode, SQL_MODE='${on}'`,
        `/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,${on}' */`
      ]
    ) {
      for (
        const back of [
          "/*!50003 SET sql_mode = @saved_sql_mode */",
          "SET sql_mode = DEFAULT",
          "SET SQL_MODE=@OLD, SQL_NOTES=@NOTES",
          "SET sql_mode = ''"
        ]
      ) {
        follows([escaped, set, plain, "SET @saved = @@sql_mode", plain, back, escaped])
      }
    }
    follows([`SET GLOBAL sql_mode = '${on}'`, escaped, `SET @@global.sql_mode = '${on}'`, escaped])
    follows([`SET @sql_mode = '${on}'`, escaped, `select "SET sql_mode = '${on}'"`, escaped])
  })

  it("holds no more than the statement it reads", () => {
    const splitter = new Splitter("pg")
    const chunk = "insert into t values ('some text; and more', 12345);\n".repeat(1000)
    let count = 0
    for (let i = 0; i < 200; i++) {
      count += splitter.push(chunk).length
      // The face of the class has no window to its buffer; JSON of it shows whether it grows.
      expect(JSON.stringify(splitter).length).toBeLessThan(5_000)
    }
    count += splitter.end().length
    expect(count).toBe(200_000)
  })
})
