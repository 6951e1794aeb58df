/**
 * Another program's handle on a SQLite file, by the module that the driver takes here: `better-sqlite3` where it is installed,
 * else `node:sqlite`.
 */
import { load } from "../../src/internal/driver/sqlite/module.js"

export const { Database, name: moduleName } = await load("auto", "test")
