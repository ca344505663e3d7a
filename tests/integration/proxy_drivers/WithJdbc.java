import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** What a Java program on JDBC does all day, through the proxy. Arguments: URL USER PASSWORD transaction|session. */
public class WithJdbc {
    static String url, user, password, mode, table;

    interface Job {
        void run(Connection connection) throws Exception;
    }

    static Connection connect(String... more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        properties.setProperty("prepareThreshold", "1");
        for (int i = 0; i + 1 < more.length; i += 2) properties.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection(url, properties);
    }

    static void check(boolean holds, Object seen) {
        if (!holds) throw new AssertionError("seen: " + seen);
    }

    static long number(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    static void refused(String state, Job job, Connection connection) throws Exception {
        try {
            job.run(connection);
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), error);
            return;
        }
        throw new AssertionError("was not refused with " + state);
    }

    static void preparedStatements(Connection ignored) throws Exception {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        for (int which = 1; which <= 6; ++which) {
            final int mine = which;
            Thread thread = new Thread(() -> {
                try (Connection own = connect();
                        PreparedStatement product = own.prepareStatement("select ?::int * " + mine);
                        PreparedStatement sum = own.prepareStatement("select ?::int + 1, ?::text")) {
                    for (int turn = 0; turn < 40; ++turn) {
                        own.setAutoCommit(turn % 2 == 0);
                        product.setInt(1, turn);
                        try (ResultSet rows = product.executeQuery()) {
                            rows.next();
                            check(rows.getInt(1) == turn * mine, rows.getInt(1));
                        }
                        sum.setInt(1, turn);
                        sum.setString(2, "x");
                        try (ResultSet rows = sum.executeQuery()) {
                            rows.next();
                            check(rows.getInt(1) == turn + 1, rows.getInt(1));
                        }
                        if (turn % 2 != 0) own.commit();
                    }
                } catch (Throwable error) {
                    failure.set(error);
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) thread.join();
        if (failure.get() != null) throw new Exception(failure.get());
    }

    static void statementsComeAndGo(Connection connection) throws Exception {
        // More than the driver's cache and the proxy's limit hold: both close and prepare again.
        for (int turn = 0; turn < 3; ++turn)
            for (int n = 0; n < 300; ++n)
                try (PreparedStatement statement = connection.prepareStatement("select " + n + " + ?")) {
                    statement.setInt(1, turn);
                    try (ResultSet rows = statement.executeQuery()) {
                        rows.next();
                        check(rows.getInt(1) == n + turn, n);
                    }
                }
    }

    static void batches(Connection connection) throws Exception {
        // The driver sends a batch in one go: Parse, Bind, Execute, Bind, Execute … Sync.
        try (Statement statement = connection.createStatement()) {
            statement.execute("drop table if exists " + table + "_batch; create table " + table + "_batch (n int unique, t text)");
        }
        connection.setAutoCommit(false);
        try (PreparedStatement insert = connection.prepareStatement("insert into " + table + "_batch values (?, ?)")) {
            for (int n = 0; n < 3000; ++n) {
                insert.setInt(1, n);
                insert.setString(2, "row " + n);
                insert.addBatch();
            }
            check(Arrays.stream(insert.executeBatch()).sum() == 3000, "counts");
            connection.commit();
            for (int n : new int[] {5000, 5001, 7, 5002}) {
                insert.setInt(1, n);
                insert.setString(2, "again");
                insert.addBatch();
            }
            refused("23505", c -> insert.executeBatch(), connection);
            connection.rollback();
        }
        connection.setAutoCommit(true);
        check(number(connection, "select count(*) from " + table + "_batch") == 3000, "rows");
    }

    static void portals(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("select n from generate_series(1, 5000) n where n > ?")) {
            statement.setFetchSize(100);
            statement.setInt(1, 0);
            long sum = 0;
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) sum += rows.getLong(1);
            }
            check(sum == 5000L * 5001 / 2, sum);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copyBothWays(Connection connection) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int n = 0; n < 20000; ++n) lines.append(n).append("\tline ").append(n).append('\n');
        byte[] data = lines.toString().getBytes(StandardCharsets.UTF_8);
        try (Statement statement = connection.createStatement()) {
            statement.execute("drop table if exists " + table + "; create table " + table + " (n int, t text)");
        }
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        check(copy.copyIn("copy " + table + " from stdin", new ByteArrayInputStream(data)) == 20000, "rows");
        ByteArrayOutputStream back = new ByteArrayOutputStream();
        copy.copyOut("copy (select * from " + table + " order by n) to stdout", back);
        check(Arrays.equals(back.toByteArray(), data), back.size());
        byte[] bad = ("x\ty\n" + lines).getBytes(StandardCharsets.UTF_8);
        refused("22P02", c -> copy.copyIn("copy " + table + " from stdin", new ByteArrayInputStream(bad)), connection);
        check(number(connection, "select count(*) from " + table) == 20000, "rows");
    }

    static void cancel(Connection connection) throws Exception {
        for (int turn = 0; turn < 3; ++turn) {
            long began = System.nanoTime();
            try (Statement statement = connection.createStatement()) {
                Thread other = new Thread(() -> {
                    try {
                        Thread.sleep(200);
                        statement.cancel();
                    } catch (Exception error) {
                        throw new RuntimeException(error);
                    }
                });
                other.start();
                refused("57014", c -> statement.execute("select pg_sleep(20)"), connection);
                other.join();
            }
            check(System.nanoTime() - began < 5_000_000_000L, "late");
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                refused("57014", c -> statement.execute("select pg_sleep(20)"), connection);
            }
            check(number(connection, "select 1") == 1, "after");
        }
    }

    static void largeObjects(Connection connection) throws Exception {
        // These are function calls of the protocol ('F').
        byte[] data = new byte[300000];
        for (int i = 0; i < data.length; ++i) data[i] = (byte) i;
        connection.setAutoCommit(false);
        LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        long id = manager.createLO(LargeObjectManager.READWRITE);
        LargeObject object = manager.open(id, LargeObjectManager.WRITE);
        object.write(data);
        object.close();
        connection.commit();
        object = manager.open(id, LargeObjectManager.READ);
        check(Arrays.equals(object.read(data.length), data), "data");
        object.seek(1000);
        check(object.read(1)[0] == data[1000], "seek");
        object.close();
        manager.delete(id);
        connection.commit();
        refused("42704", c -> manager.open(id, LargeObjectManager.READ), connection);
        connection.rollback();
        connection.setAutoCommit(true);
    }

    static void notices(Connection connection) throws Exception {
        int seen = 0;
        try (Statement statement = connection.createStatement()) {
            statement.execute("do $$ begin for i in 1..10 loop raise notice 'notice %', i; end loop; end $$");
            for (SQLWarning one = statement.getWarnings(); one != null; one = one.getNextWarning()) ++seen;
        }
        check(seen == 10, seen);
    }

    static void errorsInTransactions(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (PreparedStatement divide = connection.prepareStatement("select 1 / ?")) {
            for (int turn = 0; turn < 5; ++turn) {
                divide.setInt(1, 0);
                refused("22012", c -> divide.executeQuery(), connection);
                refused("25P02", c -> number(c, "select 1"), connection);
                connection.rollback();
                Savepoint savepoint = connection.setSavepoint();
                refused("22012", c -> divide.executeQuery(), connection);
                connection.rollback(savepoint);
                divide.setInt(1, 1);
                try (ResultSet rows = divide.executeQuery()) {
                    rows.next();
                    check(rows.getInt(1) == 1, rows.getInt(1));
                }
                connection.commit();
            }
        }
        connection.setAutoCommit(true);
    }

    static void driverRepairsItself(Connection ignored) throws Exception {
        // autosave=always puts a savepoint in front of every statement.
        try (Connection connection = connect("autosave", "always"); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            for (int turn = 0; turn < 3; ++turn) {
                refused("42P01", c -> number(c, "select n from missing_table"), connection);
                check(number(connection, "select 4") == 4, "after");
            }
            connection.commit();
        }
    }

    static void readOnlyAndIsolation(Connection connection) throws Exception {
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        refused("25006", c -> c.createStatement().execute("create table never (n int)"), connection);
        connection.rollback();
        connection.setReadOnly(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("set transaction isolation level serializable");
            check(number(connection, "select (current_setting('transaction_isolation') = 'serializable')::int") == 1, "isolation");
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void listen(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("listen jdbc");
            try (Connection sender = connect(); Statement sending = sender.createStatement()) {
                for (int n = 0; n < 3; ++n) sending.execute("notify jdbc, '" + n + "'");
            }
        }
        List<String> seen = new ArrayList<>();
        for (int turn = 0; turn < 20 && seen.size() < 3; ++turn)
            for (PGNotification one : connection.unwrap(PGConnection.class).getNotifications(200)) seen.add(one.getParameter());
        check(seen.equals(List.of("0", "1", "2")), seen);
    }

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        user = arguments[1];
        password = arguments[2];
        mode = arguments[3];
        table = "jdbc_" + mode;
        var jobs = new java.util.LinkedHashMap<String, Job>();
        jobs.put("preparedStatements", WithJdbc::preparedStatements);
        jobs.put("statementsComeAndGo", WithJdbc::statementsComeAndGo);
        jobs.put("batches", WithJdbc::batches);
        jobs.put("portals", WithJdbc::portals);
        jobs.put("copyBothWays", WithJdbc::copyBothWays);
        jobs.put("cancel", WithJdbc::cancel);
        jobs.put("largeObjects", WithJdbc::largeObjects);
        jobs.put("notices", WithJdbc::notices);
        jobs.put("errorsInTransactions", WithJdbc::errorsInTransactions);
        jobs.put("driverRepairsItself", WithJdbc::driverRepairsItself);
        jobs.put("readOnlyAndIsolation", WithJdbc::readOnlyAndIsolation);
        if (mode.equals("session")) jobs.put("listen", WithJdbc::listen);
        for (var job : jobs.entrySet()) {
            try (Connection connection = connect()) {
                job.getValue().run(connection);
            } catch (Throwable error) {
                System.err.println("JDBC, " + mode + " mode: " + job.getKey());
                throw error;
            }
        }
        System.out.println("JDBC " + DriverManager.getDriver(url).getClass().getPackage().getImplementationVersion() + ", " + mode + " mode: " + jobs.size() + " jobs");
    }
}
