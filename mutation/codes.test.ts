/** The tests of what codes mean. They load nothing but the tables. */
import "../test/error/page.test.js"
import "../test/driver/pg/codes.test.js"
import "../test/driver/mysql/codes.test.js"
import "../test/driver/mssql/codes.test.js"
import "../test/driver/sqlite/codes.test.js"
