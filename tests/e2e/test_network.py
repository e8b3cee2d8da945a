"""The network between server and database: lost answers, resets, delay, tiny pieces."""

from harness import SLOWNESS, Suite, over, wait_until
from load import Load
from proxy import Proxy


@over(weight=4)
class Network(Suite):
    settings = {"JOURNAL": "auto"}

    @classmethod
    def prepare(cls):
        cls.beyond = cls.make_cluster()
        cls.proxy = Proxy(cls.beyond.port)
        cls.addClassCleanup(cls.proxy.close)
        cls.server.ctl("partner", "set", "--yes", "rector", "database_url=postgresql://postgres@127.0.0.1:"
                       f"{cls.proxy.port}/rector_db")

    def setUp(self):
        self.proxy.swallow, self.proxy.delay_s, self.proxy.slice_b = False, 0.0, 0
        wait_until(lambda: self.send(self.new_id()).status == 200, 10 * SLOWNESS, "all is well")

    def send(self, conversion_id):
        return self.server.postback(self.rector, {"conversion_id": conversion_id})

    def stored(self, conversion_id):
        return int(self.beyond.sql("SELECT count(*) FROM partner_conversions WHERE conversion_id ="
                                   f" '{conversion_id}'", "rector_db"))

    def test_commit_whose_answer_was_lost_is_counted_once(self):
        for _ in range(3):
            conversion_id = self.new_id("lost")
            self.proxy.swallow = True
            answer = self.send(conversion_id)
            # The first copy goes to the journal, under the row id that the database may have.
            self.assertEqual((answer.status, answer.json["status"]), (200, "accepted"))
            self.proxy.swallow = False
            self.assertEqual(self.send(conversion_id).json["status"], "duplicate")
            wait_until(lambda i=conversion_id: self.stored(i) == 1, 10 * SLOWNESS, "drained")

    def test_reset_connections_lose_nothing_acknowledged(self):
        with Load(self.server, self.rector, 8, "reset", retry=True) as load:
            for _ in range(10):
                acked = len(load.account.acked)
                wait_until(lambda acked=acked: len(load.account.acked) > acked + 20, 10 * SLOWNESS,
                           "load runs")
                self.proxy.cut()
        self.assertEqual(load.account.errors, [])
        wait_until(lambda: self.server.get("/health").json["journal"]["waiting"] == 0,
                   30 * SLOWNESS, "the journal is drained")
        rows = self.beyond.sql("SELECT conversion_id FROM partner_conversions", "rector_db").split()
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(set(load.account.acked) - set(rows), set())

    def test_slow_network_makes_batches_not_errors(self):
        self.proxy.delay_s = 0.1
        with Load(self.server, self.rector, 32, "slow") as load:
            wait_until(lambda: len(load.account.acked) > 500, 60, "load runs")
        self.assert_nothing_refused(load.account)

    def test_answers_in_tiny_pieces_are_put_together(self):
        self.proxy.slice_b = 1
        with Load(self.server, self.rector, 4, "tiny") as load:
            wait_until(lambda: len(load.account.acked) > 50, 60, "load runs")
        self.assert_nothing_refused(load.account)
