//! One run: a server in its world, turn by turn, through crashes and stops to a quiet end.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use logagg::app::App;
use logagg::net::Reactor;
use logagg::store::Store;

use crate::trace::Tally;
use crate::wire::SimPlatform;
use crate::world::World;

/// Turns in which everything must come to its end once nothing new happens.
const CALM_TURNS: u64 = 5_000;

struct Run {
    world: Rc<RefCell<World>>,
    server: Option<Reactor<SimPlatform>>,
    crashes: u64,
}

/// Runs a seed. Panics where something is wrong.
pub fn run(seed: u64, is_verbose: bool) -> Tally {
    let mut run = Run {
        world: Rc::new(RefCell::new(World::new(seed, is_verbose))),
        server: None,
        crashes: 0,
    };
    run.start();
    let (steps, crash_in, stop_in) = {
        let world = run.world.borrow();
        let setup = &world.setup;
        (setup.steps, setup.crash_in, setup.stop_in)
    };
    for _ in 0..steps {
        run.turn();
        let happens = |once_in: u64| once_in > 0 && run.world.borrow_mut().random.chance(once_in);
        if happens(crash_in) {
            run.crash();
        } else if happens(stop_in) {
            run.stop();
            run.world
                .borrow_mut()
                .trace
                .mark("a start on what was stopped");
            run.start();
        }
    }
    run.calm_down();
    run.stop();
    let mut world = run.world.borrow_mut();
    world.check_counts();
    world.trace.tally.crashes = run.crashes;
    world.trace.tally.events = world.database.rows.len() as u64;
    world.trace.finish()
}

impl Run {
    fn start(&mut self) {
        let world = self.world.borrow();
        let setup = &world.setup;
        let store = Store::open(&setup.store).expect("the database can be opened");
        let app = App::new(store, setup.app, world.now);
        let platform = SimPlatform(self.world.clone());
        self.server = Some(Reactor::new(platform, app, setup.net, world.started));
    }

    /// One turn of the loop, and a look at everything. Says whether the loop has ended.
    fn turn(&mut self) -> bool {
        self.world.borrow_mut().begin_turn();
        let server = self.server.as_mut().expect("it has been started");
        let is_over = server.turn().expect("this poll does not fail");
        server.check_invariants();
        self.world.borrow_mut().end_turn();
        is_over
    }

    /// The process dies, between two turns or, as far as anybody can tell, within one: what it wanted to
    /// say in its last turn is lost. It starts again on what is on the disk.
    fn crash(&mut self) {
        self.crashes += 1;
        let within = {
            let mut world = self.world.borrow_mut();
            world.trace.mark("a crash");
            world.is_dying = true;
            world.random.chance(2)
        };
        if within {
            self.world.borrow_mut().begin_turn();
            let server = self.server.as_mut().expect("it has been started");
            server.turn().expect("this poll does not fail");
        }
        let mut world = self.world.borrow_mut();
        world.end_trouble();
        let before = world.database.newest_seq();
        world.database.look_away();
        let (from, to) = (
            world.setup.store.path.clone(),
            world.folder.file(self.crashes),
        );
        for suffix in ["", "-wal"] {
            copy(&from, &to, suffix);
        }
        drop(world);
        self.server = None;
        let mut world = self.world.borrow_mut();
        world.database.look_at(&to);
        world.setup.store.path = to;
        world.forget_process();
        drop(world);
        self.start();
        let mut world = self.world.borrow_mut();
        world.observe();
        if world.database.newest_seq() > before {
            world.trace.mark("a crash between commit and answer");
        }
        world.database.check_rows();
        world.database.is_shy = false;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let _ = fs::remove_file(format!("{}{suffix}", from.display()));
        }
    }

    /// The process gets a signal and comes to its end in good order.
    fn stop(&mut self) {
        {
            let mut world = self.world.borrow_mut();
            // Now and then the trouble goes on.
            if world.is_calm || !world.random.chance(4) {
                world.end_trouble();
            }
            world.trace.note("a signal comes", 0, 15);
            world.signal = Some(15);
            world.stopped = Some((world.turn + 1, world.now.mono_ms));
        }
        let mut turns = 0;
        while !self.turn() {
            turns += 1;
            assert!(turns < CALM_TURNS, "the loop does not end");
        }
        let mut world = self.world.borrow_mut();
        world.check_stop();
        world.end_trouble();
        world.is_dying = true;
        world.database.look_away();
        drop(world);
        let server = self.server.take().expect("it has been started");
        server
            .into_app()
            .close()
            .expect("nothing is in the way of closing");
        let mut world = self.world.borrow_mut();
        let log = format!("{}-wal", world.setup.store.path.display());
        assert!(!Path::new(&log).exists(), "what was closed needs no log");
        world.forget_process();
        world.database.check_all();
        world.database.is_shy = false;
    }

    /// Nothing new happens, and what has begun comes to its end: every request is answered or its
    /// connection is over. Then the server is well and counts right.
    fn calm_down(&mut self) {
        {
            let mut world = self.world.borrow_mut();
            world.end_trouble();
            world.is_calm = true;
            for link in &mut world.links {
                link.window = link.window.max(10_000);
            }
        }
        self.until_nobody_is_left();
        self.world.borrow_mut().pass(2_000);
        self.turn();
        {
            let mut world = self.world.borrow_mut();
            world.is_quiet = true;
            let id = world.connect();
            let (health, stats) = (world.composer.health(), world.composer.stats());
            world.ask(id, health);
            world.ask(id, stats);
        }
        self.until_nobody_is_left();
        let world = self.world.borrow();
        let last = world.links.last().expect("it was just made");
        assert_eq!(last.answered, 2, "the server is not well");
    }

    fn until_nobody_is_left(&mut self) {
        let mut turns = 0;
        while !self.world.borrow().live.is_empty() {
            self.turn();
            turns += 1;
            assert!(
                turns < CALM_TURNS,
                "no end: {}",
                self.world.borrow().shown()
            );
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A failure must not be followed by another while what is left is let go.
        if let Ok(mut world) = self.world.try_borrow_mut() {
            world.is_dying = true;
        }
        self.server = None;
    }
}

/// Copies a file of the database, as a crash would leave it.
fn copy(from: &Path, to: &Path, suffix: &str) {
    let with = |path: &Path| format!("{}{suffix}", path.display());
    if Path::new(&with(from)).exists() {
        fs::copy(with(from), with(to)).expect("there is room");
    }
}
