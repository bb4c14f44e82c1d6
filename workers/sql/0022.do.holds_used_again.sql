CREATE TRIGGER holds_used_again AFTER UPDATE ON holds
FOR EACH ROW WHEN (OLD.state IN (2, 5) AND OLD.held_at <> NEW.held_at) EXECUTE FUNCTION keep_bought()
