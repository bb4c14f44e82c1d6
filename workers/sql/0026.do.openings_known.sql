INSERT INTO openings (partition, epoch, opened_after) SELECT partition, epoch, opened_after FROM positions WHERE epoch > log_epoch
