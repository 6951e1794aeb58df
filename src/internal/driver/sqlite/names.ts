/**
 * The names of SQLite's result codes. `node:sqlite` tells their numbers only.
 */
import { codes } from "./codes.js"

/** The extended codes of a primary one, in the order of their numbers: the first is `primary | 1 << 8`. */
const extended: Readonly<Record<string, ReadonlyArray<string>>> = {
  SQLITE_ERROR: ["MISSING_COLLSEQ", "RETRY", "SNAPSHOT"],
  SQLITE_ABORT: ["", "ROLLBACK"],
  SQLITE_BUSY: ["RECOVERY", "SNAPSHOT", "TIMEOUT"],
  SQLITE_LOCKED: ["SHAREDCACHE", "VTAB"],
  SQLITE_READONLY: ["RECOVERY", "CANTLOCK", "ROLLBACK", "DBMOVED", "CANTINIT", "DIRECTORY"],
  SQLITE_IOERR: [
    "READ",
    "SHORT_READ",
    "WRITE",
    "FSYNC",
    "DIR_FSYNC",
    "TRUNCATE",
    "FSTAT",
    "UNLOCK",
    "RDLOCK",
    "DELETE",
    "BLOCKED",
    "NOMEM",
    "ACCESS",
    "CHECKRESERVEDLOCK",
    "LOCK",
    "CLOSE",
    "DIR_CLOSE",
    "SHMOPEN",
    "SHMSIZE",
    "SHMLOCK",
    "SHMMAP",
    "SEEK",
    "DELETE_NOENT",
    "MMAP",
    "GETTEMPPATH",
    "CONVPATH",
    "VNODE",
    "AUTH",
    "BEGIN_ATOMIC",
    "COMMIT_ATOMIC",
    "ROLLBACK_ATOMIC",
    "DATA",
    "CORRUPTFS",
    "IN_PAGE"
  ],
  SQLITE_CORRUPT: ["VTAB", "SEQUENCE", "INDEX"],
  SQLITE_CANTOPEN: ["NOTEMPDIR", "ISDIR", "FULLPATH", "CONVPATH", "DIRTYWAL", "SYMLINK"],
  SQLITE_CONSTRAINT: [
    "CHECK",
    "COMMITHOOK",
    "FOREIGNKEY",
    "FUNCTION",
    "NOTNULL",
    "PRIMARYKEY",
    "TRIGGER",
    "UNIQUE",
    "VTAB",
    "ROWID",
    "PINNED",
    "DATATYPE"
  ],
  SQLITE_AUTH: ["USER"]
}

const names = new Map<number, string>()
for (const [name, { number }] of Object.entries(codes)) {
  names.set(number, name)
}
for (const [primary, suffixes] of Object.entries(extended)) {
  const { number } = codes[primary as keyof typeof codes]
  suffixes.forEach((suffix, i) => {
    if (suffix !== "") {
      names.set(number | (i + 1) << 8, `${primary}_${suffix}`)
    }
  })
}

/** The name of a result code; of its primary one, where SQLite has added another since. */
export const nameOf = (code: number): string => names.get(code) ?? names.get(code & 0xff) ?? "SQLITE_ERROR"
